import { ProxyError, type Reply } from '@shadowcat/kernel';
import { type ReadReply, readReply } from '@shadowcat/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../src/index.js';
import { Bench, MODERN_META, post, sessionDouble } from './lines.js';

type Step =
  | { readonly kind: 'call'; readonly who: number; readonly id: number | string; readonly modern: boolean }
  | { readonly kind: 'progress' | 'answer' | 'leave' | 'cancel'; readonly n: number }
  | { readonly kind: 'pass' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('call' as const),
      who: fc.nat(2),
      // The same few ids, as careless clients have them; 1 and "1" are two.
      id: fc.constantFrom<number | string>(0, 1, '1'),
      modern: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('progress' as const, 'answer' as const), n: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('leave' as const, 'cancel' as const), n: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'pass' as const }) },
);

interface Asked {
  readonly secret: string;
  readonly id: number | string;
  readonly abort: AbortController;
  readonly outcome: Promise<ReadReply | ProxyError>;
  readonly who: number;
  readonly modern: boolean;
  given: 'nothing' | 'answered' | 'left' | 'cancelled';
}

async function outcomeOf(replying: Promise<Reply>): Promise<ReadReply | ProxyError> {
  try {
    return await readReply(await replying);
  } catch (error) {
    if (error instanceof ProxyError) return error;
    throw error;
  }
}

/** Clients with secrets of their own, on one line. The server echoes a call's secret in all that it says about it. */
class Run {
  readonly bench = new Bench({ shared: true });
  readonly sessions = [sessionDouble('a'), sessionDouble('b'), sessionDouble('c')];
  readonly asked: Asked[] = [];
  /** What the server has to answer: its id of the call, and the call's secret. */
  readonly open: { id: number; secret: string }[] = [];

  async take(taken: Step): Promise<void> {
    if (taken.kind === 'call') this.#call(taken);
    else if (taken.kind === 'pass') this.bench.clock.advance(20_000);
    else if (taken.kind === 'progress' || taken.kind === 'answer') await this.#say(taken.kind, taken.n);
    else await this.#giveUp(taken.kind, taken.n);
    this.#hear(await this.bench.received());
  }

  #call({ who, id, modern }: Step & { readonly kind: 'call' }): void {
    const secret = `secret ${this.asked.length}`;
    const meta = modern ? { ...MODERN_META, progressToken: id } : { progressToken: id };
    const abort = new AbortController();
    const session = modern ? undefined : this.sessions[who];
    const body = {
      jsonrpc: '2.0',
      id,
      method: 'tools/call',
      params: { name: 't', arguments: { secret }, _meta: meta },
    };
    const exchange = post(body, { signal: abort.signal, ...(session === undefined ? {} : { session }) });
    const outcome = outcomeOf(this.bench.client.exchange(exchange));
    this.asked.push({ secret, id, abort, outcome, who, modern, given: 'nothing' });
  }

  #hear(messages: readonly JsonObject[]): void {
    for (const message of messages) {
      if (message['method'] !== 'tools/call') continue;
      const params = message['params'] as { arguments: { secret: string } };
      this.open.push({ id: message['id'] as number, secret: params.arguments.secret });
    }
  }

  async #say(kind: 'progress' | 'answer', n: number): Promise<void> {
    const at = n % Math.max(1, this.open.length);
    const call = this.open[at];
    if (call === undefined) return;
    const { id, secret } = call;
    if (kind === 'progress') {
      await this.bench.says({
        method: 'notifications/progress',
        params: { progressToken: id, progress: 1, message: secret },
      });
      return;
    }
    this.open.splice(at, 1);
    await this.bench.says({ id, result: { secret } });
    const asked = this.asked.find((one) => one.secret === secret);
    if (asked?.given === 'nothing') asked.given = 'answered';
  }

  async #giveUp(kind: 'leave' | 'cancel', n: number): Promise<void> {
    const waiting = this.asked.filter(({ given, modern }) => given === 'nothing' && modern === (kind === 'leave'));
    const chosen = waiting[n % Math.max(1, waiting.length)];
    if (chosen === undefined) return;
    if (kind === 'leave') {
      chosen.given = 'left';
      chosen.abort.abort();
      return;
    }
    // Of calls with the same id in one session the newest one is meant.
    const meant = waiting.filter(({ who, id }) => who === chosen.who && id === chosen.id).at(-1);
    const session = this.sessions[chosen.who];
    if (meant === undefined || session === undefined) return;
    meant.given = 'cancelled';
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: meant.id } };
    await this.bench.client.exchange(post(cancel, { session }));
  }

  /** The line is lost; then each call must have had one outcome, its own. */
  async finish(): Promise<void> {
    this.bench.client.destroy(new ProxyError('child_exited', 'it died'));
    for (const { id, secret, outcome, given } of this.asked) {
      const read = await outcome;
      if (read instanceof ProxyError) {
        expect([given, read.code]).toEqual(given === 'left' ? ['left', 'cancelled'] : ['nothing', 'child_exited']);
        continue;
      }
      const answers = read.messages.filter((message) => message['id'] !== undefined);
      expect(answers).toHaveLength(given === 'answered' || given === 'nothing' ? 1 : 0);
      for (const message of read.messages) {
        if (message['id'] !== undefined) expect(message['id']).toBe(id);
        const params = message['params'] as JsonObject | undefined;
        if (params !== undefined) expect([params['progressToken'], params['message']]).toEqual([id, secret]);
        const result = message['result'] as JsonObject | undefined;
        if (result !== undefined) expect(result['secret']).toBe(secret);
      }
    }
    expect(this.bench.clock.pending).toBe(0);
    expect(this.bench.client.stats.inFlight).toBe(0);
  }
}

describe('any schedule of clients on one line', () => {
  it('gives each call one outcome, and nobody a word that is another’s', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const run = new Run();
        for (const taken of steps) await run.take(taken);
        await run.finish();
      }),
      // A failing run prints its seed and the shrunk schedule.
      { numRuns: 150 },
    );
  });
});
