import type { HeaderMap, SseFields } from '@shadowcat/kernel';
import { PARAM_PREFIX } from './param-headers.js';
import type { ExchangeEnd, Sender } from './records.js';
import type { Redactor } from './redact.js';

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
  allowed: readonly string[],
): string {
  return `"from":"client","method":${JSON.stringify(head.method)},"target":${JSON.stringify(redactor.text(head.target))},"headers":${headerFields(head.headers, redactor, allowed)}`;
}

export function replyFields(
  head: { status: number; headers: HeaderMap; upstream: string | undefined },
  redactor: Redactor,
  allowed: readonly string[],
): string {
  const upstream = head.upstream === undefined ? '' : `,"upstream":${JSON.stringify(redactor.text(head.upstream))}`;
  return `"from":"server","status":${head.status}${upstream},"headers":${headerFields(head.headers, redactor, allowed)}`;
}

/** Clients send the same fields with each request: their text is made once. */
const MAX_CACHED = 512;
const caches = new WeakMap<Redactor, Map<string, string>>();

function headerFields(headers: HeaderMap, redactor: Redactor, allowed: readonly string[]): string {
  let out = '';
  for (const name in headers) {
    if (!allowed.includes(name) && !name.startsWith(PARAM_PREFIX)) continue;
    const value = headers[name];
    if (value === undefined) continue;
    const field = headerField(name, typeof value === 'string' ? value : value.join(', '), redactor);
    out += out === '' ? field : `,${field}`;
  }
  return `{${out}}`;
}

function headerField(name: string, value: string, redactor: Redactor): string {
  let cache = caches.get(redactor);
  if (cache === undefined) {
    cache = new Map();
    caches.set(redactor, cache);
  }
  const key = `${name}:${value}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const field = `${JSON.stringify(name)}:${JSON.stringify(redactor.header(name, value))}`;
  if (cache.size < MAX_CACHED && key.length < 256) cache.set(key, field);
  return field;
}

export function exitFields(end: ExchangeEnd, error?: { code: string; message: string }): string {
  const why = error === undefined ? '' : `,"code":"${error.code}","message":${JSON.stringify(error.message)}`;
  return `"end":"${end}"${why}`;
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
