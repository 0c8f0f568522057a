import { headerOf, ProxyError } from '@shadowcat/kernel';
import { claimedVersion, type Message, mediaType, type ReadMessages, readMessages } from '@shadowcat/wire';
import { MESSAGE_LIMITS } from '../parse-record.js';
import { byTime } from './by-time.js';
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
 * streams and DELETEs, and what became a WebSocket with such messages; by time, where all have one. What was redirected is where it led to.
 * `url` chooses an endpoint, or those that begin with it. Throws `tape_invalid` when there is none, or more than one.
 */
export function pickExchanges(
  exchanges: readonly ImportedExchange[],
  { url, losses }: { readonly url: string | undefined; readonly losses: Losses },
): PickedExchange[] {
  const urls = new Set(exchanges.map(({ url: own }) => own));
  const final = exchanges.filter((exchange) => !isRedirected(exchange, urls));
  const read = final.map((exchange) => ({ exchange, read: messagesOf(exchange) }));
  const endpoints = new Map<string, number>();
  for (const { exchange, read: found } of read) {
    if (!showsMcp(exchange, found)) continue;
    const endpoint = endpointOf(exchange.url);
    endpoints.set(endpoint, (endpoints.get(endpoint) ?? 0) + 1);
  }
  if (endpoints.size === 0) refuse(exchanges);
  const chosen = choose(endpoints, url);
  const picked = read.flatMap(({ exchange, read: found }): PickedExchange[] => {
    const belongs =
      chosen.has(endpointOf(exchange.url)) &&
      (found !== undefined || isStream(exchange) || exchange.method === 'DELETE');
    return belongs ? [{ exchange, read: found ?? NOTHING }] : [];
  });
  const redirected = exchanges.filter((exchange) => isRedirected(exchange, urls) && messagesOf(exchange) !== undefined);
  const bare = final.filter((it) => chosen.has(endpointOf(it.url)) && isBare(it));
  losses.add('foreign', exchanges.length - redirected.length - bare.length - picked.length);
  losses.add('bare', bare.length);
  losses.add('redirected', redirected.length);
  return byTime(picked, ({ exchange }) => exchange.at);
}

function choose(endpoints: ReadonlyMap<string, number>, url: string | undefined): ReadonlySet<string> {
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
  throw new ProxyError('tape_invalid', `no MCP endpoint is at ${wanted}; there are:${list}`);
}

/** Whether its file does not have what was sent. */
const isBare = ({ method, body, frames }: ImportedExchange): boolean =>
  method === 'POST' && body === undefined && frames === undefined;

/** Says why there is no MCP in these. */
function refuse(exchanges: readonly ImportedExchange[]): never {
  const bare = exchanges.find((it) => isBare(it) && hasField(it));
  throw new ProxyError(
    'tape_invalid',
    bare === undefined
      ? `there is no MCP in it: none of its ${exchanges.length} exchanges is a POST of a JSON-RPC message of MCP`
      : `the file has no bodies of requests (${bare.where} is a POST of MCP): save it again with them`,
  );
}

/** Statuses that send a request elsewhere (RFC 9110, 15.4). */
const REDIRECTIONS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Whether it was only told to ask elsewhere, and did: of the same exchange there is another entry. */
function isRedirected({ url, response }: ImportedExchange, urls: ReadonlySet<string>): boolean {
  if (response === undefined || !REDIRECTIONS.has(response.status)) return false;
  const location = headerOf(response.headers, 'location');
  return location !== undefined && URL.canParse(location, url) && urls.has(new URL(location, url).href);
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
