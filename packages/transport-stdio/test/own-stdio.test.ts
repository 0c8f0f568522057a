import { PassThrough, Writable } from 'node:stream';
import { silentLog } from '@shadowcat/kernel';
import { ManualClock, settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { ownStdio } from '../src/index.js';
import { Listener } from './support.js';

const components = { clock: new ManualClock(), log: silentLog };

describe('our own stdin and stdout', () => {
  it('carry a message a line, and answers may still leave after stdin ended', async () => {
    const input = new PassThrough();
    const output = new PassThrough();
    await using line = ownStdio({ input, output }, components);
    const heard = new Listener(line);
    input.write('{"id":1}\n{"id"');
    input.end(':2}');
    expect(await heard.closed()).toBeUndefined();
    expect(heard.messages).toEqual(['{"id":1}', '{"id":2}']);
    await line.send('{"id":1,\n"result":{}}');
    expect(output.read()?.toString()).toBe('{"id":1, "result":{}}\n');
  });

  it('say that the client is gone when nobody reads any more', async () => {
    const output = new PassThrough();
    await using line = ownStdio({ input: new PassThrough(), output }, components);
    const heard = new Listener(line);
    output.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    expect(await heard.closed()).toMatchObject({
      code: 'upstream_closed',
      message: 'the client that started this process is gone',
    });
  });

  it('pass on what is no JSON, so that it can be answered', async () => {
    const input = new PassThrough();
    await using line = ownStdio({ input, output: new PassThrough() }, components);
    const heard = new Listener(line);
    input.write('hello\n');
    expect(await heard.received(1)).toEqual(['hello']);
  });

  it('make a sender wait while nobody reads, and fail it when stdout breaks', async () => {
    const blocked: (() => void)[] = [];
    const output = new Writable({ highWaterMark: 10, write: (_chunk, _encoding, done) => void blocked.push(done) });
    await using line = ownStdio({ input: new PassThrough(), output }, components);
    const heard = new Listener(line);
    const first = line.send('{"id":"a long enough message"}');
    let through = false;
    void first.then(() => {
      through = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(through).toBe(false);
    blocked.shift()?.();
    await first;
    const second = line.send('{"id":"a long enough message"}');
    output.destroy(new Error('EPIPE'));
    await expect(second).rejects.toMatchObject({ code: 'upstream_closed' });
    expect(await heard.closed()).toMatchObject({ message: 'stdout failed: EPIPE' });
    await expect(line.send('{}')).rejects.toMatchObject({ code: 'upstream_closed' });
  });

  it('end in bounded time with a stdout that nobody reads, and leave no timer', async () => {
    const clock = new ManualClock();
    const output = new Writable({ highWaterMark: 10, write: () => {} });
    const line = ownStdio({ input: new PassThrough(), output }, { clock, log: silentLog });
    const heard = new Listener(line);
    const waiting = line.send('{"id":"a long enough message"}');
    const ended = line[Symbol.asyncDispose]();
    await settled();
    clock.advance(2000);
    await ended;
    await expect(waiting).rejects.toMatchObject({ code: 'upstream_closed' });
    expect(await heard.closed()).toBeUndefined();
    expect(clock.pending).toBe(0);
  });
});
