import { ProxyError } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { FrameQueue } from '../src/frame-queue.js';

describe('the messages of a stream', () => {
  it('come in order, those before the end too', async () => {
    const queue = new FrameQueue(100, () => {});
    const first = queue.next();
    for (let n = 0; n < 200; n += 1) {
      queue.push(String(n));
      if (n > 0) expect((await queue.next()).value?.text).toBe(String(n));
    }
    expect((await first).value?.text).toBe('0');
    queue.push('last');
    queue.end();
    const rest: (string | undefined)[] = [];
    for await (const frame of queue) rest.push(frame.text);
    expect(rest).toEqual(['last']);
    expect(queue.push('more')).toBe(false);
  });

  it('are refused when more than the limit lies unread', async () => {
    const queue = new FrameQueue(10, () => {});
    expect(queue.push('x'.repeat(50))).toBe(true);
    expect(queue.push('y')).toBe(false);
    await queue.next();
    expect(queue.push('y')).toBe(true);
  });

  it('break off with an error, for a reader that waits and for one that comes later', async () => {
    const error = new ProxyError('slow_client', 'slow');
    const waiting = new FrameQueue(10, () => {});
    const next = waiting.next();
    waiting.fail(error);
    await expect(next).rejects.toBe(error);
    const late = new FrameQueue(10, () => {});
    late.push('x');
    late.fail(error);
    await expect(late.next()).rejects.toBe(error);
  });

  it('tell when their reader leaves, once, and not after the end', async () => {
    let left = 0;
    const queue = new FrameQueue(10, () => {
      left += 1;
    });
    await queue.return();
    await queue.return();
    expect(left).toBe(1);
    const ended = new FrameQueue(10, () => {
      left += 1;
    });
    ended.end();
    await ended.return();
    expect(left).toBe(1);
  });
});
