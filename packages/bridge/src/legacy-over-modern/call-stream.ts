import { Body, Frame, type HeaderMap, type Reply, reply } from '@shadowcat/kernel';
import { sseFraming } from '@shadowcat/wire';

const SSE_HEADERS: HeaderMap = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/**
 * A reply that streams `messages` as its client reads them. A client that leaves has not cancelled (2025-11-25, Streamable
 * HTTP, "Sending Messages to the Server"): what is left is then read without it. `track` is given a promise for that, which
 * never rejects.
 */
export function streamReply(
  messages: AsyncGenerator<string, void, undefined>,
  track: (rest: Promise<void>) => void,
): Reply {
  let over = false;
  const finish = (): void => {
    if (over) return;
    over = true;
    track(drain(messages));
  };
  const frames: AsyncIterableIterator<Frame> = {
    [Symbol.asyncIterator]: () => frames,
    next: async () => {
      const next = await messages.next();
      if (next.done !== true) return { done: false, value: new Frame({ text: next.value }) };
      over = true;
      return { done: true, value: undefined };
    },
    return: async () => {
      finish();
      return { done: true, value: undefined };
    },
  };
  return reply({ status: 200, headers: SSE_HEADERS }, Body.fromFrames(frames, sseFraming), finish);
}

async function drain(messages: AsyncGenerator<string, void, undefined>): Promise<void> {
  while ((await messages.next()).done !== true);
}
