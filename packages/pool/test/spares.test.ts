import { ProxyError, silentLog } from '@shadowcat/kernel';
import { ManualClock, settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { createSpares, type Spares } from '../src/index.js';

interface Thing {
  readonly serial: number;
  closed: boolean;
  die: (reason: ProxyError) => void;
}

const gone = (message = 'exit code 1'): ProxyError => new ProxyError('child_exited', message);

/** Spares beside `taken` things in use, bounded together. */
class Bench {
  readonly clock = new ManualClock();
  readonly openings: { succeed: () => Thing; fail: (error: ProxyError) => void; signal: AbortSignal }[] = [];
  readonly ready: Thing[] = [];
  readonly closed: Thing[] = [];
  taken = 0;
  readonly spares: Spares<Thing>;
  #serial = 0;

  constructor(count: number, max = 10) {
    this.spares = createSpares<Thing>(
      { count },
      {
        open: (signal) =>
          new Promise((resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason), { once: true });
            const succeed = (): Thing => {
              this.#serial += 1;
              const thing: Thing = { serial: this.#serial, closed: false, die: () => {} };
              resolve(thing);
              return thing;
            };
            this.openings.push({ succeed, fail: reject, signal });
          }),
        close: async (thing) => {
          thing.closed = true;
          this.closed.push(thing);
        },
        watch: (thing, died) => {
          thing.die = died;
        },
        room: () => max - this.taken - this.spares.ready - this.spares.opening,
        clock: this.clock,
        log: silentLog,
        random: () => 0.5,
      },
    );
  }

  /** Opens what is asked for. */
  async open(): Promise<Thing[]> {
    const made = this.openings.splice(0).map(({ succeed }) => succeed());
    await settled();
    return made;
  }

  take(): Promise<Thing> {
    this.taken += 1;
    return this.spares.take(new AbortController().signal);
  }
}

describe('spares', () => {
  it('are ready before anybody asks, and the next one is opened when one is taken', async () => {
    const bench = new Bench(2);
    bench.spares.refill();
    const [first] = await bench.open();
    expect(bench.spares).toMatchObject({ ready: 2, opening: 0 });
    expect(await bench.take()).toBe(first);
    expect(bench.spares).toMatchObject({ ready: 1, opening: 1 });
    await bench.open();
    expect(bench.spares).toMatchObject({ ready: 2, opening: 0 });
  });

  it('that are being opened are taken, too, so that the bound holds', async () => {
    const bench = new Bench(2, 2);
    bench.spares.refill();
    expect(bench.openings).toHaveLength(2);
    const takers = [bench.take(), bench.take()];
    expect(bench.openings).toHaveLength(2);
    const made = await bench.open();
    expect(await Promise.all(takers)).toEqual(made);
    expect(bench.openings).toHaveLength(0);
  });

  it('are not opened where there is no room, and are when there is again', async () => {
    const bench = new Bench(2, 2);
    void bench.take();
    bench.spares.refill();
    expect(bench.spares.opening).toBe(1);
    await bench.open();
    const taker = await bench.take();
    expect([taker.closed, bench.spares.ready, bench.spares.opening]).toEqual([false, 0, 0]);
    bench.taken -= 1;
    bench.spares.refill();
    expect(bench.spares.opening).toBe(1);
  });

  it('that die are replaced, at longer intervals when they die young', async () => {
    const bench = new Bench(1);
    bench.spares.refill();
    const pauses: number[] = [];
    for (let times = 0; times < 5; times += 1) {
      const [thing] = await bench.open();
      const before = bench.clock.now();
      thing?.die(gone());
      while (bench.openings.length === 0) await bench.clock.pass(10);
      pauses.push(bench.clock.now() - before);
    }
    expect(pauses).toEqual([0, 250, 500, 1000, 2000]);
    expect(bench.closed).toHaveLength(5);
    expect(bench.spares.trouble).toEqual(gone());
    const [last] = await bench.open();
    expect(bench.spares.trouble).toBeUndefined();
    await bench.clock.pass(5000);
    last?.die(gone());
    expect([bench.spares.opening, bench.spares.trouble]).toEqual([1, undefined]);
  });

  it('that cannot be opened keep nobody from opening', async () => {
    const bench = new Bench(1);
    bench.spares.refill();
    for (let times = 0; times < 2; times += 1) {
      bench.openings.pop()?.fail(gone('no such command'));
      await settled();
    }
    expect(bench.openings).toHaveLength(0);
    expect(bench.spares.trouble?.message).toBe('no such command');
    const taker = bench.take();
    await bench.open();
    expect((await taker).serial).toBe(1);
  });

  it('are closed in the end, those that are being opened too, and leave no timer', async () => {
    const bench = new Bench(3);
    bench.spares.refill();
    const opened = [bench.openings.shift(), bench.openings.shift()].map((opening) => opening?.succeed());
    await settled();
    opened[1]?.die(gone());
    bench.openings.at(-1)?.fail(gone());
    await settled();
    const closed = bench.spares[Symbol.asyncDispose]();
    expect(bench.spares[Symbol.asyncDispose]()).toBe(closed);
    await closed;
    expect(bench.closed).toHaveLength(2);
    expect(bench.spares).toMatchObject({ ready: 0, opening: 0 });
    expect(bench.openings.every(({ signal }) => signal.aborted)).toBe(true);
    expect(bench.clock.pending).toBe(0);
    bench.spares.refill();
    expect(bench.spares.opening).toBe(0);
  });
});
