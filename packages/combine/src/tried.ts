import { Body, type Exchange, type Frame, type Reply, withReply } from '@shadowcat/kernel';
import { type JsonObject, jsonReply, objectAt, post, readMessage, sseFraming } from '@shadowcat/wire';
import type { CombineMember } from './contract.js';
import { Refused } from './member-list.js';

/** What a member said to a request that may be meant for another one. */
export interface Tried {
  /** With nothing missing. */
  readonly reply: Reply;
  /** The JSON-RPC error that it is, if it is one. */
  readonly error: JsonObject | undefined;
}

/** Sends a request and looks at the first message of what comes. Rejects with `Refused` when there is none. */
export async function tried({ name, handler }: CombineMember, exchange: Exchange): Promise<Tried> {
  const posted = await post(handler, exchange);
  if (posted.kind === 'refused') throw new Refused(name, posted.reply);
  if (posted.kind === 'stream') return peeked(posted.reply);
  const { message } = posted;
  return { reply: posted.reply ?? jsonReply(message.text), error: objectAt(message.value, 'error') };
}

async function peeked(stream: Reply): Promise<Tried> {
  const frames = stream.body.frames()[Symbol.asyncIterator]();
  const seen: Frame[] = [];
  try {
    for (let next = await frames.next(); next.done !== true; next = await frames.next()) {
      seen.push(next.value);
      const { text } = next.value;
      const message = text === undefined || text === '' ? undefined : readMessage(text);
      if (message === undefined) continue;
      const error = objectAt(message.value, 'error');
      if (message.kind !== 'response' || error === undefined) break;
      await stream[Symbol.asyncDispose]();
      return { reply: jsonReply(message.text), error };
    }
  } catch (error) {
    await stream[Symbol.asyncDispose]();
    throw error;
  }
  return { reply: withReply(stream, { body: Body.fromFrames(rest(seen, frames), sseFraming) }), error: undefined };
}

async function* rest(seen: readonly Frame[], frames: AsyncIterator<Frame>): AsyncGenerator<Frame, void, undefined> {
  yield* seen;
  try {
    for (let next = await frames.next(); next.done !== true; next = await frames.next()) yield next.value;
  } finally {
    await frames.return?.();
  }
}
