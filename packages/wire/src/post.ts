import { Body, type Exchange, type Handler, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import type { Message } from './jsonrpc.js';
import { readMessage } from './read-messages.js';

/** What a modern server did with a request. */
export type Posted =
  /** It answered at once; `reply` is that, read already. */
  | { readonly kind: 'answer'; readonly message: Message; readonly reply?: Reply }
  /** It opened a stream, on which the answer comes last. */
  | { readonly kind: 'stream'; readonly reply: Reply }
  /** It refused by HTTP alone, for example because somebody has to log in first. */
  | { readonly kind: 'refused'; readonly reply: Reply };

/** The largest answer that is read in one piece. */
const MAX_ANSWER = 64 * 1024 * 1024;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Sends a request. Rejects with what kept the server from answering. */
export async function post(upstream: Handler, exchange: Exchange): Promise<Posted> {
  const answer = await upstream(exchange);
  const { status } = answer.head;
  if (status === 200 && answer.body.framing.name === 'sse') return { kind: 'stream', reply: answer };
  let bytes: Uint8Array;
  try {
    bytes = await answer.body.collect(MAX_ANSWER);
  } finally {
    await answer[Symbol.asyncDispose]();
  }
  const message = readMessage(decoder.decode(bytes));
  // Who has to log in learns how from the head of the answer.
  const login = status === 401 || status === 403;
  const whole = reply(answer.head, Body.whole(bytes, answer.body.framing));
  if (message?.kind === 'response' && !login) return { kind: 'answer', message, reply: whole };
  // To a legacy client, 404 says that its session is lost, which is not what happened.
  if (status < 400 || status === 404) {
    throw new ProxyError('upstream_protocol', `the server answered with HTTP ${status} and no JSON-RPC message`);
  }
  return { kind: 'refused', reply: whole };
}

/** Sends a request of a layer's own and waits for its answer; what comes before it is of no interest. */
export async function ask(upstream: Handler, exchange: Exchange): Promise<Exclude<Posted, { kind: 'stream' }>> {
  const posted = await post(upstream, exchange);
  if (posted.kind !== 'stream') return posted;
  await using stream = posted.reply;
  for await (const { text } of stream.body.frames()) {
    const message = text === undefined ? undefined : readMessage(text);
    if (message?.kind === 'response') return { kind: 'answer', message };
  }
  throw noAnswer();
}

export function noAnswer(): ProxyError {
  return new ProxyError('upstream_closed', 'the stream of the server ended before the answer');
}
