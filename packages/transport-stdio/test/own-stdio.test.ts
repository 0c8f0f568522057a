import { PassThrough, Writable } from 'node:stream';
import { ProxyError, silentLog } from '@shadowcat/kernel';
import { ManualClock } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { ownStdio } from '../src/index.js';
import { Listener, realClock } from './support.js';

const components = { clock: realClock, log: silentLog };

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

  it('leave a pause between a progress notification and its answer, which others may overtake', async () => {
    const clock = new ManualClock();
    const output = new PassThrough();
    const line = ownStdio({ input: new PassThrough(), output }, { clock, log: silentLog });
    const progress = '{"method":"notifications/progress","params":{"progressToken":1,"progress":1}}';
    await line.send(progress);
    const answered = line.send('{"id":1,"result":{}}');
    await line.send('{"id":2,"result":{}}');
    expect(output.read()?.toString()).toBe(`${progress}\n{"id":2,"result":{}}\n`);
    clock.advance(5);
    await answered;
    expect(output.read()?.toString()).toBe('{"id":1,"result":{}}\n');
    await line.send(progress);
    const last = line.send('{"id":1,"result":{}}');
    await line[Symbol.asyncDispose]();
    await last;
    expect(output.read()?.toString()).toBe(`${progress}\n{"id":1,"result":{}}\n`);
    expect(clock.pending).toBe(0);
  });

  it('fail what is held back when they are destroyed', async () => {
    const clock = new ManualClock();
    const line = ownStdio({ input: new PassThrough(), output: new PassThrough() }, { clock, log: silentLog });
    const heard = new Listener(line);
    await line.send('{"method":"notifications/progress","params":{"progressToken":1,"progress":1}}');
    const gone = new ProxyError('draining', 'now');
    const rejected = expect(line.send('{"id":1,"result":{}}')).rejects.toBe(gone);
    line.destroy(gone);
    await rejected;
    expect(await heard.closed()).toBe(gone);
    expect(clock.pending).toBe(0);
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
});
