import { describe, expect, it } from 'vitest';
import { Body } from '../src/body.js';
import { opaqueFraming } from '../src/framing.js';
import { reply, withReply } from '../src/reply.js';

const head = { status: 200, headers: {} };

describe('a reply', () => {
  it('is disposed once, however often that is asked for', async () => {
    let times = 0;
    const answer = reply(head, Body.empty, () => {
      times += 1;
    });
    const first = answer[Symbol.asyncDispose]();
    const second = answer[Symbol.asyncDispose]();
    expect(second).toBe(first);
    await first;
    expect(times).toBe(1);
  });

  it('without anything to give back can be disposed too', async () => {
    await reply(head)[Symbol.asyncDispose]();
    expect(reply(head).body).toBe(Body.empty);
  });

  it('turns what dispose throws into a rejection', async () => {
    const answer = reply(head, Body.empty, () => {
      throw new Error('lease');
    });
    await expect(answer[Symbol.asyncDispose]()).rejects.toThrow('lease');
  });
});

describe('a reply made from another', () => {
  it('gives back what was added last first', async () => {
    const order: string[] = [];
    const inner = reply(head, Body.empty, async () => {
      await Promise.resolve();
      order.push('inner');
    });
    const middle = withReply(inner, { head: { status: 201, headers: {} }, dispose: () => void order.push('middle') });
    const outer = withReply(middle, {
      async dispose() {
        await Promise.resolve();
        order.push('outer');
      },
    });
    await outer[Symbol.asyncDispose]();
    expect(order).toEqual(['outer', 'middle', 'inner']);
    expect(outer.head.status).toBe(201);
  });

  it('disposes the original also when its own part fails', async () => {
    let given = false;
    const inner = reply(head, Body.empty, () => {
      given = true;
    });
    const outer = withReply(inner, {
      dispose: () => Promise.reject(new Error('timer')),
    });
    await expect(outer[Symbol.asyncDispose]()).rejects.toThrow('timer');
    expect(given).toBe(true);
  });

  it('keeps what is not changed', () => {
    const body = Body.whole(new Uint8Array(1), opaqueFraming);
    const inner = reply(head, body);
    expect(withReply(inner, {}).body).toBe(body);
    expect(withReply(inner, {}).head).toBe(head);
    expect(withReply(inner, { body: Body.empty }).body).toBe(Body.empty);
  });
});
