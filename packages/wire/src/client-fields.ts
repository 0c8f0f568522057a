import type { HeaderMap } from '@shadowcat/kernel';

/**
 * The fields of a client's head that a message of a layer's own can carry on its behalf: all but those that speak of the client's
 * own message, session and stream.
 */
export function clientFields(headers: HeaderMap): Record<string, HeaderMap[string]> {
  const kept: Record<string, HeaderMap[string]> = {};
  for (const name in headers) if (!name.startsWith('mcp-') && !OF_ONE_MESSAGE.has(name)) kept[name] = headers[name];
  return kept;
}

const OF_ONE_MESSAGE: ReadonlySet<string> = new Set([
  'accept',
  'content-length',
  'content-type',
  'content-encoding',
  'transfer-encoding',
  'expect',
  'last-event-id',
]);
