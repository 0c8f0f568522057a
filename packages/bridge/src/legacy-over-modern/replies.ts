import { Body, type Exchange, type HeaderMap, headerOf, type Reply, reply } from '@shadowcat/kernel';
import { jsonFraming } from '@shadowcat/wire';

const encoder = new TextEncoder();

export function jsonReply(text: string, headers: HeaderMap = {}): Reply {
  const head = { status: 200, headers: { 'content-type': 'application/json', ...headers } };
  return reply(head, Body.whole(encoder.encode(text), jsonFraming));
}

export function accepted(): Reply {
  return reply({ status: 202, headers: {} });
}

/** Whether the client reads SSE as an answer to a POST, as all clients of Streamable HTTP must. */
export function takesStream({ head }: Exchange): boolean {
  const accept = headerOf(head.headers, 'accept');
  return accept === undefined || accept.includes('text/event-stream') || accept.includes('*/*');
}
