import type { HeaderMap } from '@shadowcat/kernel';

/** Fields that concern one connection only (RFC 9110, section 7.6.1; RFC 9112 for the old ones). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The fields that may travel on: without those of the connection, also those that `Connection` names. */
export function hopByHop(headers: HeaderMap): HeaderMap {
  const named = String(headers['connection'] ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase());
  const kept: Record<string, string | readonly string[] | undefined> = {};
  for (const name of Object.keys(headers)) {
    if (name !== '__proto__' && !HOP_BY_HOP.has(name) && !named.includes(name)) kept[name] = headers[name];
  }
  return kept;
}
