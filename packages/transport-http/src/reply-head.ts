import type { OutgoingHttpHeaders } from 'node:http';
import type { HeaderMap, Reply } from '@shadowcat/kernel';

/** What a reply's writer knows about how it is going to be sent. */
export interface Sending {
  /** The length of the body when it is sent in one piece. */
  readonly length?: number;
  /** Whether the connection ends with this reply. */
  readonly close: boolean;
}

/**
 * The header fields to send: the reply's own object when it needs no change. A length is declared exactly when it is
 * known; an SSE stream forbids every hop to buffer or change it (proxies hold back small chunks otherwise).
 */
export function fieldsToSend(reply: Reply, sending: Sending): OutgoingHttpHeaders {
  const { headers, status } = reply.head;
  const sse = isEventStream(reply);
  const length = lengthToDeclare(reply, sending.length);
  const asItIs = !sse && !sending.close && headers['content-length'] === length;
  if (asItIs && headers['transfer-encoding'] === undefined) return headers as OutgoingHttpHeaders;
  const fields: Record<string, HeaderMap[string]> = {};
  // Built anew, not copied and pruned: an object that `delete` was used on is slow to walk.
  for (const name in headers) if (!REPLACED.has(name)) fields[name] = headers[name];
  if (length !== undefined && status !== 204 && status !== 304) fields['content-length'] = length;
  if (sending.close) fields['connection'] = 'close';
  else if (headers['connection'] !== undefined) fields['connection'] = headers['connection'];
  if (sse) {
    fields['cache-control'] = 'no-cache, no-transform';
    fields['x-accel-buffering'] = 'no';
  } else if (headers['cache-control'] !== undefined) {
    fields['cache-control'] = headers['cache-control'];
  }
  return fields as OutgoingHttpHeaders;
}

const REPLACED: ReadonlySet<string> = new Set(['cache-control', 'connection', 'content-length', 'transfer-encoding']);

export function isEventStream(reply: Reply): boolean {
  return reply.body.framing.name === 'sse';
}

function lengthToDeclare(reply: Reply, known: number | undefined): string | undefined {
  if (known !== undefined) return String(known);
  if (reply.body.rewritten) return undefined;
  const declared = reply.head.headers['content-length'];
  return typeof declared === 'string' ? declared : undefined;
}
