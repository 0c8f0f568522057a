import { ManualClock } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { ProgressPacer } from '../src/progress-pacer.js';

const progress = (token: unknown): string =>
  JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: token, progress: 1 } });

describe('an answer waits for the client to read progress, or does not:', () => {
  it.each([
    ['to the request that made progress', progress(5), '{"jsonrpc":"2.0","id":5,"result":{}}', 5],
    ['whose id comes last', progress(5), `{"result":{"text":"${'x'.repeat(1000)}"},"jsonrpc":"2.0","id":5}`, 5],
    ['with a text for an id', progress('a"b'), '{"jsonrpc":"2.0", "id" : "a\\"b", "error":{}}', 5],
    ['whose id is hard to find', progress(5), `{"x":"${'x'.repeat(300)}","id":5,"y":"${'y'.repeat(300)}"}`, 5],
    ['to another request', progress(5), '{"jsonrpc":"2.0","id":6,"result":{}}', 0],
    ['whose id only begins like the token', progress(5), '{"jsonrpc":"2.0","id":55,"result":{}}', 0],
    ['with a number for a text', progress('5'), '{"jsonrpc":"2.0","id":5,"result":{}}', 0],
    ['after another kind of notification', '{"method":"notifications/message"}', '{"id":5,"result":{}}', 0],
  ])('%s', (_what, first, second, delay) => {
    const pacer = new ProgressPacer(new ManualClock());
    expect(pacer.delayOf(first)).toBe(0);
    expect(pacer.delayOf(second)).toBe(delay);
  });

  it('waits only for the rest of the pause', () => {
    const clock = new ManualClock();
    const pacer = new ProgressPacer(clock);
    pacer.delayOf(progress(1));
    clock.advance(3);
    pacer.delayOf(progress(2));
    expect(pacer.delayOf('{"id":1,"result":{}}')).toBe(2);
    expect(pacer.delayOf('{"id":2,"result":{}}')).toBe(5);
    clock.advance(2);
    expect(pacer.delayOf('{"id":1,"result":{}}')).toBe(0);
    clock.advance(3);
    expect(pacer.delayOf('{"id":2,"result":{}}')).toBe(0);
  });

  it('never makes a notification wait', () => {
    const pacer = new ProgressPacer(new ManualClock());
    pacer.delayOf(progress(1));
    expect(pacer.delayOf(progress(1))).toBe(0);
    expect(pacer.delayOf('{"jsonrpc":"2.0","method":"notifications/message","params":{}}')).toBe(0);
  });
});
