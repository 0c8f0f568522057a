import { headerOf } from '@shadowcat/kernel';
import { mediaType, parseMessages, type ReadMessages, readMessages } from '@shadowcat/wire';
import { MESSAGE_LIMITS } from '../parse-record.js';
import { byTime } from './by-time.js';
import type { ImportedExchange, ImportedLine } from './imported.js';
import type { Losses } from './losses.js';
import { mergeLines } from './merge-lines.js';
import { streamFrames } from './stream-events.js';

/** A message of either side, with the line that it becomes. */
interface Told {
  readonly from: 'client' | 'server';
  readonly at: number | undefined;
  readonly read: ReadMessages;
  readonly line: ImportedLine;
}

/**
 * Makes a line of each pair of the HTTP+SSE transport (2024-11-05): a stream whose first event, `endpoint`, says where the client posts its
 * messages. The stream's exchange stands for it, with the messages of both as `frames`; those POSTs are gone. Everything else stays.
 */
export function pairedExchanges(exchanges: readonly ImportedExchange[], losses: Losses): ImportedExchange[] {
  const streams = new Map<
    string,
    { readonly stream: ImportedExchange; readonly heard: readonly Told[]; readonly said: Told[] }
  >();
  for (const exchange of exchanges) {
    const opened = openedBy(exchange);
    if (opened !== undefined) streams.set(opened.url, { stream: exchange, heard: opened.heard, said: [] });
  }
  if (streams.size === 0) return [...exchanges];
  const lines = new Map<ImportedExchange, ImportedLine[]>();
  const rest = exchanges.filter((exchange) => {
    const told = exchange.method === 'POST' ? saidBy(exchange) : undefined;
    const pair = told === undefined ? undefined : streams.get(exchange.url);
    if (told === undefined || pair === undefined) return true;
    pair.said.push(told);
    return false;
  });
  for (const { stream, heard, said } of streams.values()) lines.set(stream, inOrder(said, heard, losses));
  return rest.map((exchange) => {
    const frames = lines.get(exchange);
    return frames === undefined ? exchange : { ...exchange, frames };
  });
}

/** By time where the stream has the times of its events. */
function inOrder(said: readonly Told[], heard: readonly Told[], losses: Losses): ImportedLine[] {
  const timed = [...said, ...heard].every(({ at }) => at !== undefined);
  if (!timed) losses.add('eventTimes', heard.length);
  const inTurn = byTime(said, ({ at }) => at);
  const told = timed ? byTime([...inTurn, ...heard], ({ at }) => at) : mergeLines(inTurn, heard);
  return told.map(({ line }) => line);
}

function openedBy({
  method,
  url,
  headers,
  response,
  where,
}: ImportedExchange): { readonly url: string; readonly heard: Told[] } | undefined {
  const type = mediaType(headerOf(response?.headers ?? {}, 'content-type') ?? headerOf(headers, 'accept'));
  if (method !== 'GET' || type !== 'text/event-stream' || response?.body === undefined) return undefined;
  const [first, ...events] = streamFrames(response.body).filter(({ text }) => text !== undefined && text !== '');
  if (first?.sse?.event !== 'endpoint' || first.text === undefined) return undefined;
  const target = targetOf(first.text, url);
  const times = response.eventTimes?.length === events.length + 1 ? response.eventTimes.slice(1) : [];
  const heard = events.flatMap(({ text = '' }, index) =>
    told({ where: `${where}, event ${index + 2}`, at: times[index], from: 'server', text }),
  );
  return target === undefined ? undefined : { url: target, heard };
}

function targetOf(path: string, base: string): string | undefined {
  return URL.canParse(path, base) ? new URL(path, base).href : undefined;
}

function saidBy({ body, at, where }: ImportedExchange): Told | undefined {
  if (body === undefined) return undefined;
  try {
    const read = readMessages(body, MESSAGE_LIMITS);
    return { from: 'client', at, read, line: { where, at, from: 'client', text: new TextDecoder().decode(body) } };
  } catch {
    return undefined;
  }
}

function told(line: ImportedLine & { readonly from: 'server' }): Told[] {
  try {
    return [{ from: line.from, at: line.at, read: parseMessages(line.text, MESSAGE_LIMITS), line }];
  } catch {
    return [];
  }
}
