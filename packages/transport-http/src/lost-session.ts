import { Body, concat, continued, type Reply, withReply } from '@shadowcat/kernel';
import type { JsonObject } from '@shadowcat/wire';

/** A refusal longer than this is not about a session. */
const MOST_READ = 64 * 1024;

/**
 * Whether an answer says that the upstream does not know the session any more. The protocol's word for it is 404; servers
 * built after the SDKs' examples answer 400 with a JSON-RPC error that speaks of the session id. `answer` is the reply to
 * pass on if it is not, with nothing missing.
 */
export async function lostSession(reply: Reply): Promise<{ readonly lost: boolean; readonly answer: Reply }> {
  const { status } = reply.head;
  if (status !== 400) return { lost: status === 404, answer: reply };
  const iterator = reply.body.bytes()[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let ended = false;
  while (!ended && size <= MOST_READ) {
    const { done, value } = await iterator.next();
    if (done === true) ended = true;
    else {
      chunks.push(value);
      size += value.length;
    }
  }
  const read = concat(chunks, size);
  const { framing } = reply.body;
  const body = ended ? Body.whole(read, framing) : Body.stream(continued(read, iterator), framing);
  return { lost: ended && speaksOfSession(read), answer: withReply(reply, { body }) };
}

function speaksOfSession(bytes: Uint8Array): boolean {
  try {
    const { error } = JSON.parse(new TextDecoder().decode(bytes)) as { error?: JsonObject };
    return typeof error?.['message'] === 'string' && /session/i.test(error['message']);
  } catch {
    return false;
  }
}
