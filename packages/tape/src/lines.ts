import type { HeaderMap, SseFields } from '@shadowcat/kernel';
import { PARAM_PREFIX } from './param-headers.js';
import type { ExchangeEnd, Sender } from './records.js';
import type { Redactor } from './redact.js';
import { ShownTexts } from './shown-texts.js';

/** The header fields that may be on a tape, beside those configured and `mcp-param-*`. Anything else is never stored. */
export const HEADER_ALLOW_LIST: readonly string[] = [
  'accept',
  'content-type',
  'mcp-protocol-version',
  'mcp-method',
  'mcp-name',
  'last-event-id',
  'allow',
  'retry-after',
];

/** Whether a field may be on a tape whose recorder was given no more fields. */
export function isAllowedHeader(name: string): boolean {
  return HEADER_ALLOW_LIST.includes(name) || name.startsWith(PARAM_PREFIX);
}

/** The members of records after `s` and `x`, as JSON text. Text that comes from outside is redacted by the caller. */

export function messageFields(
  text: string,
  about: { readonly from: Sender; readonly batch?: boolean; readonly sse?: SseFields | undefined },
  redactor: Redactor,
): string {
  const batch = about.batch === true ? ',"batch":true' : '';
  return `"from":"${about.from}"${batch}${sseFields(about.sse, redactor)},"m":${onOneLine(text)}`;
}

/** Empty when there is nothing to say. Begins with a comma. */
export function sseFields(sse: SseFields | undefined, redactor: Redactor): string {
  if (sse === undefined) return '';
  const { id, event, retry } = sse;
  if (id === undefined && event === undefined && retry === undefined) return '';
  const shown = id === undefined ? undefined : redactor.text(id);
  return `,"sse":${JSON.stringify({ id: shown, event, retry })}`;
}

export function requestFields(
  head: { method: string; target: string; headers: HeaderMap },
  redactor: Redactor,
  allowed: ReadonlySet<string>,
): string {
  const shown = cacheOf(redactor);
  const { method, target } = head;
  return `"from":"client","method":${methodText(method)},"target":${shown.text(target)},"headers":${headerFields(head.headers, shown, allowed)}`;
}

export function replyFields(
  head: { status: number; headers: HeaderMap; upstream: string | undefined },
  redactor: Redactor,
  allowed: ReadonlySet<string>,
): string {
  const shown = cacheOf(redactor);
  const upstream = head.upstream === undefined ? '' : `,"upstream":${shown.text(head.upstream)}`;
  return `"from":"server","status":${head.status}${upstream},"headers":${headerFields(head.headers, shown, allowed)}`;
}

function methodText(method: string): string {
  return method === 'POST' ? '"POST"' : JSON.stringify(method);
}

const caches = new WeakMap<Redactor, ShownTexts>();

function cacheOf(redactor: Redactor): ShownTexts {
  let cache = caches.get(redactor);
  if (cache === undefined) {
    cache = new ShownTexts(redactor);
    caches.set(redactor, cache);
  }
  return cache;
}

function headerFields(headers: HeaderMap, shown: ShownTexts, allowed: ReadonlySet<string>): string {
  let out = '';
  for (const name in headers) {
    if (!allowed.has(name) && !name.startsWith(PARAM_PREFIX)) continue;
    const value = headers[name];
    if (value === undefined) continue;
    const field = shown.field(name, typeof value === 'string' ? value : value.join(', '));
    out = out === '' ? field : `${out},${field}`;
  }
  return `{${out}}`;
}

/** `error` is what the proxy told the client instead of an answer. What the server did has its own word, and needs no message. */
export function exitFields(end: ExchangeEnd, error?: { code: string; message: string }): string {
  if (error === undefined) return `"end":"${end}"`;
  const message = end === 'error' ? `,"message":${JSON.stringify(error.message)}` : '';
  return `"end":"${end}","code":"${error.code}"${message}`;
}

export function textFields(text: string, about: { from?: Sender; why?: string } = {}): string {
  const from = about.from === undefined ? '' : `"from":"${about.from}",`;
  const why = about.why === undefined ? '' : `"why":${JSON.stringify(about.why)},`;
  return `${from}${why}"text":${JSON.stringify(text)}`;
}

/** Line breaks in JSON are between its tokens, where a space says the same; the record needs its line for itself. */
function onOneLine(text: string): string {
  return text.includes('\n') || text.includes('\r') ? text.replace(/[\r\n]/g, ' ') : text;
}
