import { headerOf, ProxyError } from '@shadowcat/kernel';
import { claimedVersion, type Message, mediaType, type ReadMessages, readMessages } from '@shadowcat/wire';
import { MESSAGE_LIMITS } from '../parse-record.js';
import type { ImportedExchange } from './imported.js';
import type { Losses } from './losses.js';

/** An exchange with an MCP endpoint. `read` is empty but for POST. */
export interface PickedExchange {
  readonly exchange: ImportedExchange;
  readonly read: ReadMessages;
}

/** Whether the exchanges do not say when they were: some have no time, or all have the same, as in an export of a tape without a clock. */
export function isTimeless(picked: readonly PickedExchange[]): boolean {
  const [first] = picked;
  if (picked.some(({ exchange }) => exchange.at === undefined)) return true;
  return picked.length > 1 && picked.every(({ exchange }) => exchange.at === first?.exchange.at);
}

/** How many messages a batch may hold. */
const MAX_BATCH = 10_000;
const NOTHING: ReadMessages = { batch: false, messages: [] };
const METHOD =
  /^(initialize|ping|server\/discover|(tools|prompts|resources|completion|logging|subscriptions|tasks|notifications)\/.+)$/;

/**
 * The exchanges of one MCP endpoint among others: POSTs of JSON-RPC messages to a URL where some exchange shows that MCP is spoken, its event
 * streams and DELETEs, and what became a WebSocket with such messages. `url` chooses an endpoint, or those that begin with it. Throws
 * `tape_invalid` when there is none, or more than one.
 */
export function pickExchanges(
  exchanges: readonly ImportedExchange[],
  { url, losses }: { readonly url: string | undefined; readonly losses: Losses },
): PickedExchange[] {
  const read = exchanges.map((exchange) => ({ exchange, read: messagesOf(exchange) }));
  const endpoints = new Map<string, number>();
  for (const { exchange, read: found } of read) {
    if (!showsMcp(exchange, found)) continue;
    const endpoint = endpointOf(exchange.url);
    endpoints.set(endpoint, (endpoints.get(endpoint) ?? 0) + 1);
  }
  const chosen = choose(endpoints, url, exchanges.length);
  const picked = read.flatMap(({ exchange, read: found }): PickedExchange[] => {
    const belongs =
      chosen.has(endpointOf(exchange.url)) &&
      (found !== undefined || isStream(exchange) || exchange.method === 'DELETE');
    return belongs ? [{ exchange, read: found ?? NOTHING }] : [];
  });
  losses.add('foreign', exchanges.length - picked.length);
  return picked;
}

function choose(endpoints: ReadonlyMap<string, number>, url: string | undefined, all: number): ReadonlySet<string> {
  const wanted = url === undefined ? undefined : endpointOf(url);
  const names = [...endpoints.keys()].filter(
    (name) => wanted === undefined || name === wanted || name.startsWith(`${wanted}/`),
  );
  const exact = names.filter((name) => name === wanted);
  const chosen = exact.length > 0 ? exact : names;
  if (chosen.length === 1) return new Set(chosen);
  const list = [...endpoints].map(([name, count]) => `\n  ${name} (${count})`).join('');
  if (chosen.length > 1)
    throw new ProxyError('tape_invalid', `there are several MCP endpoints; choose one with --url:${list}`);
  if (wanted !== undefined && endpoints.size > 0)
    throw new ProxyError('tape_invalid', `no MCP endpoint is at ${wanted}; there are:${list}`);
  throw new ProxyError(
    'tape_invalid',
    `there is no MCP in it: none of its ${all} exchanges is a POST of a JSON-RPC message of MCP`,
  );
}

/** Without query and fragment. */
function endpointOf(url: string): string {
  return (/^[^?#]*/.exec(url)?.[0] ?? url).replace(/\/$/, '');
}

function messagesOf({ method, body, frames }: ImportedExchange): ReadMessages | undefined {
  if (frames !== undefined) return frames.some(({ text }) => text.includes('"jsonrpc"')) ? NOTHING : undefined;
  if (method !== 'POST' || body === undefined || body.length === 0) return undefined;
  try {
    return readMessages(body, { ...MESSAGE_LIMITS, batch: MAX_BATCH });
  } catch {
    return undefined;
  }
}

function showsMcp(exchange: ImportedExchange, read: ReadMessages | undefined): boolean {
  if (read === undefined) return false;
  if (exchange.frames !== undefined) return true;
  return hasField(exchange) || read.messages.some(speaksMcp);
}

function hasField({ headers, response }: ImportedExchange): boolean {
  return [headers, response?.headers ?? {}].some((fields) =>
    Object.keys(fields).some((name) => name.startsWith('mcp-')),
  );
}

function speaksMcp(message: Message): boolean {
  return claimedVersion(message) !== undefined || METHOD.test(message.method ?? '');
}

function isStream({ method, headers, response }: ImportedExchange): boolean {
  if (method !== 'GET') return false;
  if (headerOf(headers, 'accept')?.includes('text/event-stream') === true) return true;
  return mediaType(headerOf(response?.headers ?? {}, 'content-type')) === 'text/event-stream';
}
