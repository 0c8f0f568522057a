import { Body, concat, continued, type Frame, type Reply, withReply } from '@shadowcat/kernel';
import { type RpcId, readMessage } from '@shadowcat/wire';
import { type Answer, answers } from './answers.js';

/** The most that is held back to find an answer, in bytes. */
const MOST_READ = 4 * 1024 * 1024;

/** The answer in a reply, and the reply as it came, with nothing missing. */
export async function peekAnswer(from: Reply, id: RpcId): Promise<{ readonly reply: Reply; readonly answer: Answer }> {
  const { status, headers } = from.head;
  const { framing } = from.body;
  const decoder = framing.decoder();
  const iterator = from.body.bytes()[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let message: Answer['message'];
  const look = (frames: readonly Frame[]): void => {
    for (const { text } of frames) {
      const found = text === undefined || text === '' ? undefined : readMessage(text);
      if (found !== undefined && answers(found, id)) message ??= found;
    }
  };
  let ended = false;
  try {
    while (!ended && message === undefined && size <= MOST_READ) {
      const { done, value } = await iterator.next();
      if (done === true) {
        ended = true;
        look(decoder.end());
        break;
      }
      chunks.push(value);
      size += value.length;
      look(decoder.push(value));
    }
  } catch (error) {
    await from[Symbol.asyncDispose]();
    throw error;
  }
  const read = concat(chunks, size);
  const body = ended ? Body.whole(read, framing) : Body.stream(continued(read, iterator), framing);
  return { reply: withReply(from, { body }), answer: { status, headers, message } };
}
