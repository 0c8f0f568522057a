import type { ProxyError } from '@shadowcat/kernel';
import { connectionCompliance, type FarEnd, settled } from '@shadowcat/testkit';
import { sseFraming } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { PairClient } from '../src/pair-client.js';

/** The client of the pair: reads the event stream, and says what it has to say by POST. */
function farEnd(client: PairClient): FarEnd & { leave(): Promise<void> } {
  const stream = client.bytes();
  const decoder = sseFraming.decoder();
  let reading: Promise<void> | undefined;
  const read = async (message: (text: string) => void): Promise<void> => {
    for await (const chunk of stream) {
      for (const { text, sse } of decoder.push(chunk)) {
        if (text !== undefined && sse?.event === 'message') message(text);
      }
      // As over a network: not all in one turn.
      await settled();
    }
  };
  const leave = async (): Promise<void> => {
    client.left();
    await reading;
    await stream.return();
  };
  return {
    send: async (text) => client.heard(text),
    read: (message) => {
      reading = read(message);
    },
    finish: () => client.left(),
    vanish: () => client.left(),
    leave,
  };
}

connectionCompliance(
  { describe, it, expect },
  {
    name: 'a client of the legacy pair',
    // Its two directions are requests of their own: leaving is all that it can do, and always in good order.
    finished: undefined,
    vanished: undefined,
    open: async () => {
      let ended = 0;
      const near = new PairClient('x1', {
        endpoint: '/m',
        queueLimit: 1024 * 1024,
        ended: () => {
          ended += 1;
        },
      });
      const far = farEnd(near);
      return {
        near,
        far,
        close: async () => {
          await far.leave();
          return ended === 1 ? [] : [`${ended} ends`];
        },
      };
    },
  },
);

describe('a client of the legacy pair', () => {
  it('is bounded in what it may say before anybody listens', async () => {
    const client = new PairClient('x1', { endpoint: '/m', queueLimit: 1000, ended: () => {} });
    const text = `"${'x'.repeat(600)}"`;
    client.heard(text);
    client.heard(text);
    client.heard(text);
    const texts: string[] = [];
    const closed = Promise.withResolvers<ProxyError | undefined>();
    client.listen({ message: (heard) => void texts.push(heard), closed: closed.resolve });
    expect((await closed.promise)?.code).toBe('body_too_large');
    expect(texts).toEqual([text, text]);
  });
});
