import { type HeaderMap, ProxyError } from '@shadowcat/kernel';
import { asObject, type Json, type JsonObject, mediaType } from '@shadowcat/wire';
import { fromBase64 } from '../base64.js';
import { headerMapOf } from './header-fields.js';
import type { ImportedEvent, ImportedExchange, ImportedLine, ImportedResponse } from './imported.js';
import type { Losses } from './losses.js';

const encoder = new TextEncoder();
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The exchanges of an HTTP archive (HAR 1.2), in the order of the file; besides the standard it reads what browsers keep of WebSockets and event streams
 * (`_webSocketMessages`, `_eventSourceMessages`). Throws `tape_invalid` for what is none, and for an entry that is none, naming it.
 */
export function readHar(text: string, losses: Losses): ImportedExchange[] {
  const log = asObject(asObject(parsed(text))?.['log']);
  const entries = log?.['entries'];
  if (!Array.isArray(entries)) throw new ProxyError('tape_invalid', 'this is no HTTP archive: it has no log.entries');
  const creator = asObject(log?.['creator'])?.['name'];
  const latin = typeof creator === 'string' && /mitmproxy/i.test(creator);
  return entries.map((entry, index) => exchangeOf(entry, { where: `entry ${index + 1}`, latin, losses }));
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new ProxyError('tape_invalid', `this is no JSON: ${(error as Error).message}`, { cause: error });
  }
}

interface About {
  readonly where: string;
  /** Whether what made the file takes event streams for Latin-1. */
  readonly latin: boolean;
  readonly losses: Losses;
}

function exchangeOf(value: Json, about: About): ImportedExchange {
  const { where } = about;
  const entry = asObject(value);
  const request = asObject(entry?.['request']);
  const method = request?.['method'];
  const url = request?.['url'];
  if (entry === undefined || request === undefined || typeof method !== 'string' || typeof url !== 'string')
    throw new ProxyError('tape_invalid', `${where}: it has no request with method and url`);
  const at = instant(entry['startedDateTime']);
  const response = responseOf(entry, at, about);
  const frames = framesOf(entry['_webSocketMessages'], where);
  return {
    where,
    method: method.toUpperCase(),
    url,
    headers: headersOf(request['headers']),
    body: contentOf(asObject(request['postData']), about),
    at,
    response,
    broken: brokenBy(entry),
    ...(frames === undefined ? {} : { frames }),
  };
}

/** How exchanges end that are exported from tapes. */
const ENDS: ReadonlyMap<Json | undefined, ImportedExchange['broken']> = new Map([
  ['cancelled-by-client', 'client'],
  ['closed-by-client', 'client'],
  ['reset', 'server'],
  ['open-at-end', 'open'],
]);

/** Browsers, and `tape export`, say in fields of their own why an entry failed. */
function brokenBy(entry: JsonObject): ImportedExchange['broken'] {
  const end = asObject(entry['_mcp'])?.['end'];
  if (typeof end === 'string') return ENDS.get(end);
  const response = asObject(entry['response']);
  const why = response?.['_error'] ?? response?.['_failureText'] ?? entry['_error'];
  if (typeof why !== 'string' || why === '') return undefined;
  return /abort|cancel/i.test(why) ? 'client' : 'server';
}

function responseOf(entry: JsonObject, at: number | undefined, about: About): ImportedResponse | undefined {
  const response = asObject(entry['response']);
  const status = response?.['status'];
  if (response === undefined || typeof status !== 'number' || status < 100 || status > 599) return undefined;
  const headers = headersOf(response['headers']);
  const content = asObject(response['content']);
  const type = content?.['mimeType'];
  const events = eventsOf(entry['_eventSourceMessages']);
  const offsets = asObject(entry['_mcp'])?.['events'];
  const { head, end } = spanOf(entry);
  return {
    status: Math.trunc(status),
    headers:
      headers['content-type'] === undefined && typeof type === 'string' && type.includes('/')
        ? { ...headers, 'content-type': type }
        : headers,
    body: contentOf(content, about),
    at: at === undefined ? undefined : at + head,
    endAt: at === undefined ? undefined : at + end,
    ...(events === undefined ? {} : { events }),
    ...(at === undefined || !Array.isArray(offsets)
      ? {}
      : { eventTimes: offsets.map((offset) => at + positive(offset)) }),
  };
}

/** Milliseconds from the beginning to the head of the answer, and to its end. `connect` includes `ssl`. */
function spanOf(entry: JsonObject): { readonly head: number; readonly end: number } {
  const timings = asObject(entry['timings']);
  const part = (name: string): number => positive(timings?.[name]);
  const head = part('blocked') + part('dns') + part('connect') + part('send') + part('wait');
  const end = Math.max(positive(entry['time']), head);
  return { head: Math.min(head, end), end };
}

function positive(value: Json | undefined): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0;
}

function contentOf(content: JsonObject | undefined, { latin, losses }: About): Uint8Array | undefined {
  const text = content?.['text'];
  if (content === undefined || typeof text !== 'string') return undefined;
  if (content['encoding'] !== 'base64')
    return (latin ? mistaken(content, text, losses) : undefined) ?? encoder.encode(text);
  const bytes = fromBase64(text);
  if (bytes === undefined) losses.add('unread');
  return bytes;
}

/**
 * Event streams are UTF-8 (WHATWG HTML, 9.2.5) and need not say so; mitmproxy takes what says nothing for Latin-1. What is UTF-8 as it stands in
 * those bytes was taken so.
 */
function mistaken(content: JsonObject, text: string, losses: Losses): Uint8Array | undefined {
  const type = content['mimeType'];
  if (typeof type !== 'string' || mediaType(type) !== 'text/event-stream' || !isBytes(text)) return undefined;
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  try {
    utf8.decode(bytes);
  } catch {
    return undefined;
  }
  losses.add('latin');
  return bytes;
}

/** Whether there is anything but ASCII, and nothing that is no byte. */
function isBytes(text: string): boolean {
  return /[\u0080-\u00ff]/.test(text) && !/[\u0100-\uffff]/.test(text);
}

function headersOf(value: Json | undefined): HeaderMap {
  const fields = Array.isArray(value) ? value : [];
  return headerMapOf(
    fields.flatMap((field) => {
      const { name, value: content } = asObject(field) ?? {};
      return typeof name === 'string' && typeof content === 'string' ? [[name, content] as const] : [];
    }),
  );
}

/** ISO 8601, with or without a time zone. */
function instant(value: Json | undefined): number | undefined {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isFinite(at) ? at : undefined;
}

/** Chromium: `time` in seconds since the epoch. */
function framesOf(value: Json | undefined, where: string): ImportedLine[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.flatMap((frame, index) => {
    const { type, time, data } = asObject(frame) ?? {};
    if (typeof data !== 'string' || (type !== 'send' && type !== 'receive')) return [];
    const from = type === 'send' ? 'client' : 'server';
    return { where: `${where}, WebSocket message ${index + 1}`, at: seconds(time), from, text: data } as const;
  });
}

function eventsOf(value: Json | undefined): ImportedEvent[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.flatMap((found) => {
    const { time, eventName, eventId, data } = asObject(found) ?? {};
    if (typeof data !== 'string') return [];
    return { at: seconds(time), text: data, id: named(eventId), event: named(eventName) };
  });
}

function named(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function seconds(value: Json | undefined): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value * 1000 : undefined;
}
