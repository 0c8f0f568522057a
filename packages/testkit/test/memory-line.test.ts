import { type Connection, ProxyError } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { settled } from '../src/manual-clock.js';
import { memoryLine } from '../src/memory-line.js';

/** Listens and writes down what comes. */
function heard(connection: Connection): string[] {
  const log: string[] = [];
  connection.listen({
    message: (text) => void log.push(text),
    closed: (reason) => void log.push(`closed: ${reason?.code ?? 'in good order'}`),
  });
  return log;
}

describe('a memory line', () => {
  it('carries messages both ways, in order, never in the same turn', async () => {
    const { near, far } = memoryLine();
    const [atNear, atFar] = [heard(near), heard(far)];
    const sent = [near.send('1'), near.send('2'), far.send('a')];
    expect(atFar).toEqual([]);
    await Promise.all(sent);
    await settled();
    expect(atFar).toEqual(['1', '2']);
    expect(atNear).toEqual(['a']);
    expect(near.sent).toEqual(['1', '2']);
  });

  it('keeps what comes before somebody listens', async () => {
    const { near, far } = memoryLine();
    await near.send('early');
    const log = heard(far);
    await settled();
    expect(log).toEqual(['early']);
  });

  it('makes a sender wait while the other end does not read', async () => {
    const { near, far } = memoryLine({ capacity: 2 });
    const log = heard(far);
    far.pause();
    await near.send('1');
    await near.send('2');
    let passed = false;
    const third = near.send('3').then(() => {
      passed = true;
    });
    await settled();
    expect(passed).toBe(false);
    far.resume();
    await third;
    expect(log).toEqual(['1', '2', '3']);
  });

  it('closes in good order after what was sent', async () => {
    const { near, far } = memoryLine();
    const [atNear, atFar] = [heard(near), heard(far)];
    void near.send('last');
    await near[Symbol.asyncDispose]();
    await near[Symbol.asyncDispose]();
    await settled();
    expect(atFar).toEqual(['last', 'closed: in good order']);
    expect(atNear).toEqual(['closed: in good order']);
    expect([near.ended, far.ended]).toEqual([true, true]);
    await expect(near.send('more')).rejects.toMatchObject({ code: 'upstream_closed' });
    await expect(far.send('more')).rejects.toMatchObject({ code: 'upstream_closed' });
  });

  it('tells a late listener what came and that it is over', async () => {
    const { near, far } = memoryLine();
    await near.send('1');
    await near[Symbol.asyncDispose]();
    const log = heard(far);
    await settled();
    expect(log).toEqual(['1', 'closed: in good order']);
  });

  it('is torn down with a reason, once, and lets waiting senders go', async () => {
    const { near, far } = memoryLine({ capacity: 0 });
    const [atNear, atFar] = [heard(near), heard(far)];
    near.pause();
    const waiting = far.send('lost');
    near.destroy(new ProxyError('child_exited', 'exit code 1'));
    near.destroy(new ProxyError('internal', 'again'));
    await waiting;
    near.resume();
    await settled();
    expect(atNear).toEqual(['closed: child_exited']);
    expect(atFar).toEqual(['closed: upstream_closed']);
    await expect(near.send('x')).rejects.toMatchObject({ code: 'child_exited' });
  });

  it('takes one listener', () => {
    const { near } = memoryLine({ names: ['pid 1', 'pid 2'] });
    heard(near);
    expect(() => heard(near)).toThrow('pid 1: listen was called twice');
  });
});
