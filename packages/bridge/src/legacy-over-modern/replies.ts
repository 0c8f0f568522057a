import { type Exchange, headerOf, type Reply, reply } from '@shadowcat/kernel';

export function accepted(): Reply {
  return reply({ status: 202, headers: {} });
}

/** Whether the client reads SSE as an answer to a POST, as all clients of Streamable HTTP must. */
export function takesStream({ head }: Exchange): boolean {
  const accept = headerOf(head.headers, 'accept');
  return accept === undefined || accept.includes('text/event-stream') || accept.includes('*/*');
}
