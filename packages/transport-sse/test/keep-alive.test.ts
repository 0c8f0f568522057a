import { ManualClock } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { keepAlive } from '../src/keep-alive.js';

function watching(interval = 15_000) {
  const clock = new ManualClock();
  const registry = keepAlive({ interval }, { clock });
  const pings: string[] = [];
  const watch = (name: string) => registry.watch(() => pings.push(`${name}@${clock.now()}`));
  return { clock, registry, pings, watch };
}

describe('keepAlive', () => {
  it('pings a silent stream so often that it is never silent for longer than the interval', () => {
    const { clock, pings, watch } = watching();
    watch('a');
    clock.advance(60_000);
    const times = [0, ...pings.map((ping) => Number(ping.split('@')[1]))];
    const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(15_000);
    expect(pings.length).toBeGreaterThan(3);
  });

  it('leaves a stream alone that sends by itself', () => {
    const { clock, pings, watch } = watching();
    const stream = watch('a');
    for (let i = 0; i < 20; i += 1) {
      clock.advance(5_000);
      stream.touch();
    }
    expect(pings).toEqual([]);
  });

  it('has one timer for all streams, and none without streams', () => {
    const { clock, registry, watch } = watching();
    expect(clock.pending).toBe(0);
    const streams = Array.from({ length: 100 }, (_, i) => watch(`${i}`));
    expect(clock.pending).toBe(1);
    expect(registry.streams).toBe(100);
    for (const stream of streams) stream.stop();
    expect(clock.pending).toBe(0);
    expect(registry.streams).toBe(0);
  });

  it('pings who is left when others stop, in whatever order, also twice', () => {
    const { clock, pings, watch } = watching();
    const [a, b, c] = [watch('a'), watch('b'), watch('c')];
    a.stop();
    a.stop();
    clock.advance(15_000);
    expect(pings.map((ping) => ping[0]).sort()).toEqual(['b', 'c']);
    c.stop();
    b.stop();
    pings.length = 0;
    clock.advance(60_000);
    expect(pings).toEqual([]);
  });

  it('does not ping a stream that another one stopped in the same tick', () => {
    const clock = new ManualClock();
    const registry = keepAlive({ interval: 10 }, { clock });
    const pings: string[] = [];
    const first = registry.watch(() => {
      pings.push('first');
      second.stop();
    });
    const second = registry.watch(() => pings.push('second'));
    clock.advance(10);
    expect(pings).toEqual(['first']);
    first.stop();
    expect(clock.pending).toBe(0);
  });

  it('watches nothing with an interval of 0', () => {
    const { clock, pings, watch } = watching(0);
    const stream = watch('a');
    stream.touch();
    expect(clock.pending).toBe(0);
    stream.stop();
    expect(pings).toEqual([]);
  });

  it('has no timer after close', () => {
    const { clock, registry, watch } = watching();
    const stream = watch('a');
    registry.close();
    expect(clock.pending).toBe(0);
    stream.stop();
    expect(registry.streams).toBe(0);
  });
});
