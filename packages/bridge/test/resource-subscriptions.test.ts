import { describe, expect, it } from 'vitest';
import { ResourceSubscriptions } from '../src/modern-over-legacy/resource-subscriptions.js';

const A = 'mem://a';

/** A server that answers when it is told to. */
function slowServer() {
  const asked: string[] = [];
  const answers: PromiseWithResolvers<boolean>[] = [];
  let ended = false;
  const subscriptions = new ResourceSubscriptions({
    ask: (method, uri) => {
      asked.push(`${method.slice('resources/'.length)} ${uri}`);
      const answer = Promise.withResolvers<boolean>();
      answers.push(answer);
      return answer.promise;
    },
    ended: () => ended,
  });
  /** The next request that the server has not answered. */
  const next = async (): Promise<PromiseWithResolvers<boolean>> => {
    for (;;) {
      const answer = answers.shift();
      if (answer !== undefined) return answer;
      await Promise.resolve();
    }
  };
  const end = (): void => {
    ended = true;
  };
  return { subscriptions, asked, next, end };
}

/** Everything that can happen without the server has happened. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

describe('the subscriptions of a session', () => {
  it('asks once for all who want a resource, and tells nobody before the server has agreed', async () => {
    const { subscriptions, asked, next } = slowServer();
    const told: boolean[] = [];
    const both = [subscriptions.subscribe(A), subscriptions.subscribe(A)];
    for (const one of both) void one.then((agreed) => told.push(agreed));
    const answer = await next();
    await quiet();
    expect({ asked, told }).toEqual({ asked: [`subscribe ${A}`], told: [] });
    answer.resolve(true);
    expect(await Promise.all(both)).toEqual([true, true]);
    await subscriptions.unsubscribe(A);
    expect({ asked, uris: subscriptions.uris }).toEqual({ asked: [`subscribe ${A}`], uris: [A] });
  });

  it('does not subscribe again before the server has answered to the end of the subscription before', async () => {
    const { subscriptions, asked, next } = slowServer();
    const first = subscriptions.subscribe(A);
    (await next()).resolve(true);
    await first;
    const leaving = subscriptions.unsubscribe(A);
    const gone = await next();
    const again = subscriptions.subscribe(A);
    await quiet();
    expect(asked).toEqual([`subscribe ${A}`, `unsubscribe ${A}`]);
    gone.resolve(true);
    await leaving;
    (await next()).resolve(true);
    expect(await again).toBe(true);
    expect({ asked: asked.at(-1), uris: subscriptions.uris }).toEqual({ asked: `subscribe ${A}`, uris: [A] });
  });

  it('asks again for whoever waited for one that was refused, or that failed', async () => {
    const { subscriptions, asked, next } = slowServer();
    const refused = subscriptions.subscribe(A);
    const first = await next();
    const failed = subscriptions.subscribe(A);
    first.resolve(false);
    expect(await refused).toBe(false);
    const second = await next();
    const last = subscriptions.subscribe(A);
    second.reject(new Error('gone'));
    await expect(failed).rejects.toThrow('gone');
    (await next()).resolve(true);
    expect(await last).toBe(true);
    expect(asked).toEqual([`subscribe ${A}`, `subscribe ${A}`, `subscribe ${A}`]);
  });

  it('lets nobody wait for more than two answers of a server that hangs, however many wait', async () => {
    const { subscriptions, asked, next } = slowServer();
    const first = subscriptions.subscribe(A);
    const hanging = await next();
    const others = Promise.allSettled(Array.from({ length: 20 }, () => subscriptions.subscribe(A)));
    hanging.reject(new Error('late'));
    await expect(first).rejects.toThrow('late');
    (await next()).reject(new Error('late again'));
    expect(new Set((await others).map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect({ asked, uris: subscriptions.uris }).toEqual({ asked: [`subscribe ${A}`, `subscribe ${A}`], uris: [] });
    const later = subscriptions.subscribe(A);
    (await next()).resolve(true);
    expect(await later).toBe(true);
  });

  it('keeps nothing of what nobody wants, and asks nobody for a session that has ended', async () => {
    const { subscriptions, asked, next, end } = slowServer();
    const refused = subscriptions.subscribe(A);
    (await next()).resolve(false);
    await refused;
    await subscriptions.unsubscribe(A);
    const agreed = subscriptions.subscribe(A);
    (await next()).resolve(true);
    await agreed;
    end();
    await subscriptions.unsubscribe(A);
    expect({ asked, uris: subscriptions.uris }).toEqual({ asked: [`subscribe ${A}`, `subscribe ${A}`], uris: [] });
  });

  it('does not wait for another resource', async () => {
    const { subscriptions, asked, next } = slowServer();
    const [first, second] = [subscriptions.subscribe(A), subscriptions.subscribe('mem://b')];
    const [one, two] = [await next(), await next()];
    two.resolve(true);
    expect(await second).toBe(true);
    expect(asked).toEqual([`subscribe ${A}`, 'subscribe mem://b']);
    one.resolve(true);
    await first;
  });
});
