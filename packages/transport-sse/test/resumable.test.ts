import { ProxyError, type Reply, reply, silentLog } from '@shadowcat/kernel';
import { classifiedExchange, jsonReply, ManualClock, settled, streamReply } from '@shadowcat/testkit';
import { callSlot, type Message } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { type ResumableOptions, resumable } from '../src/resumable.js';

/** A stream that a test feeds. */
function feed(head: { status?: number; headers?: Record<string, string> } = {}) {
  const waiting: ((step: Step) => void)[] = [];
  const steps: Step[] = [];
  type Step = { text: string } | { end: true } | { error: unknown };
  const give = (step: Step): void => {
    const next = waiting.shift();
    if (next === undefined) steps.push(step);
    else next(step);
  };
  let disposed = 0;
  async function* chunks(): AsyncGenerator<string> {
    for (;;) {
      const step = steps.shift() ?? (await new Promise<Step>((resolve) => waiting.push(resolve)));
      if ('error' in step) throw step.error;
      if ('end' in step) return;
      yield step.text;
    }
  }
  const reply = streamReply(chunks(), {
    ...head,
    dispose: () => {
      disposed += 1;
      give({ error: new ProxyError('cancelled', 'disposed') });
    },
  });
  return {
    reply,
    send: (text: string) => give({ text }),
    end: () => give({ end: true }),
    fail: (error: unknown = new ProxyError('upstream_closed', 'the socket broke')) => give({ error }),
    get disposed() {
      return disposed;
    },
  };
}

const request = { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'slow' } };
const answer = 'event: message\ndata: {"jsonrpc":"2.0","id":7,"result":{}}\n\n';
const reconnecting = ': reconnecting\n\n';
const progress = 'event: message\nid: e1\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n';

function messagesOf(body: object): readonly Message[] {
  return classifiedExchange({ body }).context.get(callSlot)?.messages ?? [];
}

type Opener = (lastEventId: string | undefined, signal: AbortSignal) => Promise<Reply>;

function start(first: Reply, open: Opener | undefined, options: Partial<ResumableOptions> = {}) {
  const clock = new ManualClock();
  const all = { name: 'http://up/mcp', messages: messagesOf(request), standing: false, ...options };
  const outcomes: string[] = [];
  const gaveUp: ProxyError[] = [];
  let toldBefore = false;
  let text = '';
  let renew = (): void => {};
  const reply = resumable(first, all, {
    open,
    clock,
    log: silentLog,
    random: () => 1,
    resumed: (outcome) => outcomes.push(outcome),
    gaveUp: (reason) => {
      gaveUp.push(reason);
      toldBefore = !text.includes('"error"');
    },
    onRenewal: (given) => {
      renew = given;
      return () => {
        renew = () => {};
      };
    },
  });
  let ended = false;
  const done = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of reply.body.bytes()) text += decoder.decode(chunk);
    ended = true;
  })();
  return {
    clock,
    reply,
    done,
    outcomes,
    gaveUp,
    get toldBefore() {
      return toldBefore;
    },
    renew: () => renew(),
    get text() {
      return text;
    },
    get ended() {
      return ended;
    },
  };
}

describe('resumable', () => {
  it('passes a stream on that is answered, byte for byte, and asks for nothing', async () => {
    const first = feed();
    const run = start(first.reply, () => Promise.reject(new Error('not to be asked')));
    for (const piece of [': hi\n\n', 'id: p\ndata:\n\n', progress.slice(0, 20), progress.slice(20), answer])
      first.send(piece);
    first.end();
    await run.done;
    expect(run.text).toBe(`: hi\n\nid: p\ndata:\n\n${progress}${answer}`);
    expect(run.clock.pending).toBe(0);
  });

  it('returns an answer that is all there as it is', () => {
    const whole = jsonReply('{}', { headers: { 'content-type': 'text/event-stream' } });
    const reply = { ...whole, body: whole.body } as Reply;
    const messages: readonly Message[] = [];
    expect(
      resumable(reply, { name: 'x', messages, standing: false }, { clock: new ManualClock(), log: silentLog }),
    ).toBe(reply);
  });

  it('takes up a stream that was closed before the answer, after the retry time, with the last id', async () => {
    const first = feed();
    const second = feed();
    const asked: (string | undefined)[] = [];
    const run = start(first.reply, async (id) => {
      asked.push(id);
      return second.reply;
    });
    first.send('retry: 500\n\n');
    first.send(progress);
    first.end();
    await settled();
    run.clock.advance(499);
    await settled();
    expect(asked).toEqual([]);
    await run.clock.pass(1);
    expect(asked).toEqual(['e1']);
    expect(run.ended).toBe(false);
    second.send(answer);
    second.end();
    await run.done;
    expect(run.text).toBe(`retry: 500\n\n${progress}${reconnecting}${answer}`);
    expect(run.outcomes).toEqual(['ok']);
    expect(first.disposed).toBe(1);
    expect(run.clock.pending).toBe(0);
  });

  it('tells the client at once that it reconnects, between two events only', async () => {
    const first = feed();
    const run = start(first.reply, () => new Promise(() => {}));
    first.send(progress);
    first.send('id: e2\ndata: {"half');
    first.fail();
    await settled();
    expect(run.text).toBe(`${progress}${reconnecting}`);
    await run.reply[Symbol.asyncDispose]();
    await run.done;
  });

  it('says nothing of reconnecting where it cannot', async () => {
    const first = feed();
    const run = start(first.reply, () => Promise.reject(new Error('not to be asked')));
    first.send('data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n');
    first.fail();
    await run.done;
    expect(run.text).not.toContain('reconnecting');
    expect(run.outcomes).toEqual([]);
  });

  it('moves a standing stream over to another upstream session at once, from no event on', async () => {
    const [first, second] = [feed(), feed()];
    const asked: (string | undefined)[] = [];
    const open = async (id: string | undefined): Promise<Reply> => {
      asked.push(id);
      return second.reply;
    };
    const run = start(first.reply, open, { messages: [], standing: true });
    first.send(progress);
    await settled();
    run.renew();
    await settled();
    expect(asked).toEqual([undefined]);
    expect(run.clock.pending).toBe(0);
    second.send('data: {"jsonrpc":"2.0","method":"b"}\n\n');
    await settled();
    expect(run.text).toContain('"b"');
    expect(first.disposed).toBe(1);
    await run.reply[Symbol.asyncDispose]();
    await run.done;
  });

  it('does not wait any longer when another upstream session is there', async () => {
    const [first, second] = [feed(), feed()];
    const asked: (string | undefined)[] = [];
    const open = async (id: string | undefined): Promise<Reply> => {
      asked.push(id);
      return second.reply;
    };
    const run = start(first.reply, open, { messages: [], standing: true });
    first.send(progress);
    first.fail();
    await settled();
    expect(run.clock.pending).toBe(1);
    run.renew();
    await settled();
    expect(asked).toEqual([undefined]);
    await run.reply[Symbol.asyncDispose]();
    await run.done;
    expect(run.clock.pending).toBe(0);
  });

  it('drops the half of an event that a break left behind', async () => {
    const first = feed();
    const second = feed();
    const run = start(first.reply, async () => second.reply);
    first.send(progress);
    first.send('id: e2\ndata: {"jsonrpc":"2.0","id":7,"res');
    first.fail();
    await settled();
    await run.clock.pass(1_000);
    second.send(`id: e2\n${answer}`);
    second.end();
    await run.done;
    expect(run.text).toBe(`${progress}${reconnecting}id: e2\n${answer}`);
  });

  it('ends with an error for the request when a stream without ids breaks', async () => {
    const first = feed();
    const run = start(first.reply, () => Promise.reject(new Error('not to be asked')));
    first.send('data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n');
    first.fail(new ProxyError('upstream_closed', 'http://up/mcp closed the connection in the middle of its answer'));
    await run.done;
    expect(run.text).toMatch(/"id":7,"error":\{"code":-320\d\d,"message":"http:\/\/up\/mcp closed the connection/);
    expect(run.text.endsWith('\n\n')).toBe(true);
  });

  it('says whether the stream that it gave up had broken or was ended in good order, before it tells the client', async () => {
    const refused = async (): Promise<Reply> => reply({ status: 404, headers: {} });
    for (const broke of [true, false]) {
      const first = feed();
      const run = start(first.reply, refused);
      first.send(progress);
      if (broke) first.fail();
      else first.end();
      await settled();
      await run.clock.pass(1000);
      await run.done;
      expect(run.gaveUp.map(({ code, cause }) => ({ code, broke: cause !== undefined }))).toEqual([
        { code: 'upstream_closed', broke },
      ]);
      expect(run.toldBefore).toBe(true);
    }
  });

  it('ends with an error for each request of a batch that has no answer', async () => {
    const batch = [request, { ...request, id: 'b' }, { jsonrpc: '2.0', method: 'notifications/x' }];
    const first = feed();
    const run = start(first.reply, undefined, { messages: messagesOf(batch) });
    first.send(answer);
    first.end();
    await run.done;
    expect(run.text).toContain('"id":"b","error"');
    expect(run.text).not.toContain('"id":7,"error"');
  });

  it('counts the answers of a batch in one event', async () => {
    const batch = [request, { ...request, id: 'b' }];
    const text = 'data: [{"jsonrpc":"2.0","id":7,"result":{}},{"jsonrpc":"2.0","id":"b","result":{}}]\n\n';
    const first = feed();
    const run = start(first.reply, undefined, { messages: messagesOf(batch) });
    first.send(text);
    first.end();
    await run.done;
    expect(run.text).toBe(text);
  });

  it('never takes a server request with the same id for the answer', async () => {
    const first = feed();
    const run = start(first.reply, undefined);
    first.send('data: {"jsonrpc":"2.0","id":7,"method":"sampling/createMessage"}\n\n');
    first.end();
    await run.done;
    expect(run.text).toContain('"id":7,"error"');
  });

  it.each([400, 404, 405])('gives up at once when the server answers %i to the GET', async (status) => {
    const first = feed();
    let asked = 0;
    const run = start(first.reply, async () => {
      asked += 1;
      return jsonReply('{}', { status });
    });
    first.send(progress);
    first.end();
    await settled();
    await run.clock.pass(1_000);
    await run.done;
    expect(asked).toBe(1);
    expect(run.outcomes).toEqual(['refused']);
    expect(run.text).toContain(`HTTP ${status}`);
    expect(run.text).toContain('"id":7,"error"');
  });

  it('tries five times with growing waits, then ends with an error', async () => {
    const first = feed();
    const times: number[] = [];
    const run = start(first.reply, async () => {
      times.push(run.clock.now());
      throw new ProxyError('upstream_unreachable', 'http://up/mcp cannot be reached');
    });
    first.send(progress);
    first.fail();
    await settled();
    await run.clock.pass(300_000);
    await run.done;
    expect(times).toEqual([1_000, 3_000, 7_000, 15_000, 31_000]);
    expect(run.text.split(reconnecting).length).toBe(2);
    expect(run.outcomes).toEqual(['failed']);
    // Another code would promise that the request was never sent.
    expect(run.text).toContain('"code":-32013,"message":"http://up/mcp cannot be reached"');
    expect(run.gaveUp).toEqual([expect.objectContaining({ code: 'upstream_closed', cause: expect.any(ProxyError) })]);
    expect(run.clock.pending).toBe(0);
  });

  it('counts attempts anew after an event arrived', async () => {
    const streams = [feed(), feed(), feed()];
    let asked = 0;
    const [first, second, third] = streams as [
      ReturnType<typeof feed>,
      ReturnType<typeof feed>,
      ReturnType<typeof feed>,
    ];
    const run = start(first.reply, async () => {
      asked += 1;
      if (asked === 5) return second.reply;
      if (asked === 10) return third.reply;
      throw new ProxyError('upstream_unreachable', 'down');
    });
    first.send(progress);
    first.fail();
    await settled();
    await run.clock.pass(31_000);
    second.send(progress.replace('e1', 'e2'));
    second.fail();
    await settled();
    await run.clock.pass(31_000);
    third.send(answer);
    third.end();
    await run.done;
    expect(asked).toBe(10);
    expect(run.text.endsWith(answer)).toBe(true);
  });

  it('polls a server that names a retry time and closes in good order for as long as the client waits', async () => {
    const first = feed();
    let asked = 0;
    const run = start(first.reply, async () => {
      asked += 1;
      const next = feed();
      if (asked === 20) next.send(answer);
      next.end();
      return next.reply;
    });
    first.send('id: p\nretry: 100\ndata:\n\n');
    first.end();
    await settled();
    await run.clock.pass(3_000);
    await run.done;
    expect(asked).toBe(20);
    expect(run.text.endsWith(answer)).toBe(true);
  });

  it.each([
    { retry: 0, wait: 100, why: 'is not polled without a pause, although it asks for that' },
    { retry: 1e12, wait: 600_000, why: 'is not waited for longer than ten minutes' },
  ])('a server that has nothing to say $why', async ({ retry, wait }) => {
    const first = feed();
    let asked = 0;
    const run = start(first.reply, async () => {
      asked += 1;
      const next = feed();
      next.end();
      return next.reply;
    });
    first.send(`id: p\nretry: ${retry}\ndata:\n\n`);
    first.end();
    await settled();
    await run.clock.pass(Math.min(retry, wait));
    expect(asked).toBe(1);
    await run.clock.pass(wait - 1);
    expect(asked).toBe(1);
    await run.clock.pass(1);
    expect(asked).toBe(2);
    await run.reply[Symbol.asyncDispose]();
  });

  it('asks again for a stream that was taken up and stays silent, after ever longer waits, until it has the answer', async () => {
    const first = feed();
    const [second, third, fourth] = [feed(), feed(), feed()];
    const later = [second, third, fourth];
    const asked: (string | undefined)[] = [];
    const run = start(first.reply, async (id) => {
      asked.push(id);
      return (later.shift() ?? feed()).reply;
    });
    first.send(progress);
    await run.clock.pass(600_000);
    expect(asked).toEqual([]);
    first.fail();
    await settled();
    await run.clock.pass(1_000);
    expect(asked).toEqual(['e1']);
    second.send(progress.replace('e1', 'e2'));
    await run.clock.pass(1_999);
    expect(asked).toEqual(['e1']);
    await run.clock.pass(1);
    expect(asked).toEqual(['e1', 'e2']);
    expect(second.disposed).toBe(1);
    await run.clock.pass(4_000);
    expect(asked).toEqual(['e1', 'e2', 'e2']);
    fourth.send(answer);
    await run.clock.pass(600_000);
    expect(asked.length).toBe(3);
    fourth.end();
    await run.done;
    expect(run.text.split(answer).length).toBe(2);
    expect(run.clock.pending).toBe(0);
  });

  it('does not ask again for what it could not read', async () => {
    const first = feed();
    const run = start(first.reply, () => Promise.reject(new Error('not to be asked')));
    first.send(progress);
    first.fail(new ProxyError('upstream_protocol', 'an event is too large'));
    await run.done;
    expect(run.text).toContain('"id":7,"error"');
  });

  it('keeps a standing stream open across its ends, also without ids', async () => {
    const first = feed();
    const second = feed();
    const asked: (string | undefined)[] = [];
    const run = start(
      first.reply,
      async (id) => {
        asked.push(id);
        return second.reply;
      },
      { messages: [], standing: true },
    );
    first.send('data: {"jsonrpc":"2.0","method":"a"}\n\n');
    first.end();
    await settled();
    await run.clock.pass(1_000);
    second.send('data: {"jsonrpc":"2.0","method":"b"}\n\n');
    await settled();
    expect(asked).toEqual([undefined]);
    expect(run.text).toContain('"b"');
    expect(run.ended).toBe(false);
    await run.reply[Symbol.asyncDispose]();
    await run.done;
    expect(second.disposed).toBe(1);
  });

  it('does not count it as a failure when a standing stream had nothing to say for a long time', async () => {
    const first = feed();
    let asked = 0;
    let latest = first;
    const run = start(
      first.reply,
      async () => {
        asked += 1;
        latest = feed();
        return latest.reply;
      },
      { messages: [], standing: true },
    );
    await settled();
    for (let i = 0; i < 10; i += 1) {
      await run.clock.pass(300_000);
      latest.end();
      await settled();
      await run.clock.pass(1_000);
    }
    expect(asked).toBe(10);
    expect(run.ended).toBe(false);
    await run.reply[Symbol.asyncDispose]();
    await run.done;
  });

  it('ends a standing stream in good order when the server has none any more', async () => {
    const first = feed();
    const run = start(first.reply, async () => jsonReply('{}', { status: 405 }), { messages: [], standing: true });
    first.end();
    await settled();
    await run.clock.pass(3_000);
    await run.done;
    expect(run.text).toBe(reconnecting);
  });

  it('goes on with the id that the client came with', async () => {
    const first = feed();
    const asked: (string | undefined)[] = [];
    const run = start(
      first.reply,
      async (id) => {
        asked.push(id);
        return jsonReply('{}', { status: 404 });
      },
      { messages: [], standing: true, lastEventId: 'c9' },
    );
    first.fail();
    await settled();
    await run.clock.pass(2_000);
    await run.done;
    expect(asked).toEqual(['c9']);
  });

  it('ends when the client itself came for the rest of an answer and has it', async () => {
    const first = feed();
    const run = start(first.reply, () => Promise.reject(new Error('not to be asked')), {
      messages: [],
      standing: true,
      lastEventId: 'e1',
    });
    first.send(answer);
    first.end();
    await run.done;
    expect(run.text).toBe(answer);
    expect(run.clock.pending).toBe(0);
  });

  it('stops in the middle of a wait when it is disposed, and leaves no timer', async () => {
    const first = feed();
    const run = start(first.reply, () => Promise.reject(new Error('not to be asked')));
    first.send(progress);
    first.end();
    await settled();
    expect(run.clock.pending).toBe(1);
    await run.reply[Symbol.asyncDispose]();
    await run.done;
    expect(run.clock.pending).toBe(0);
    expect(run.text).toBe(`${progress}${reconnecting}`);
    expect(run.outcomes).toEqual([]);
  });

  it('gives up a stream that arrives after it was disposed', async () => {
    const first = feed();
    const late = feed();
    const opened = Promise.withResolvers<Reply>();
    let signal: AbortSignal | undefined;
    const run = start(first.reply, (_id, given) => {
      signal = given;
      return opened.promise;
    });
    first.send(progress);
    first.end();
    await settled();
    await run.clock.pass(1_000);
    await run.reply[Symbol.asyncDispose]();
    expect(signal?.aborted).toBe(true);
    opened.resolve(late.reply);
    await run.done;
    expect(late.disposed).toBe(1);
  });

  it('declares no length, because it may get longer', () => {
    const first = feed({ headers: { 'content-length': '10' } });
    expect(start(first.reply, undefined).reply.head.headers['content-length']).toBeUndefined();
    first.end();
  });
});
