import { ProxyError, silentLog } from '@shadowcat/kernel';
import { ManualClock } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { createGate, type ProbedGate } from '../src/protect/gate.js';
import { type ProbeOptions, Probes } from '../src/protect/probes.js';

type Verdict = 'answered' | 'undetermined' | ProxyError | 'silence';

const GONE = new ProxyError('upstream_unreachable', 'gone');

function probing(options: Partial<ProbeOptions> = {}, random = () => 0) {
  const clock = new ManualClock();
  const asked: number[] = [];
  const outcomes: string[] = [];
  let verdict: Verdict = 'answered';
  let signal: AbortSignal | undefined;
  const probes = new Probes(
    { mode: 'suspect', intervalMs: 5000, jitter: 0.2, timeoutMs: 1000, ...options },
    { clock, log: silentLog, random, probed: (name, outcome) => outcomes.push(`${name} ${outcome}`) },
  );
  const gate: ProbedGate = createGate({ name: 'a' })({ clock, log: silentLog, suspected: () => probes.suspect('a') });
  probes.add({
    name: 'a',
    gate,
    ask: (given) => {
      asked.push(clock.now());
      signal = given;
      if (verdict === 'silence') return new Promise(() => {});
      return typeof verdict === 'string' ? Promise.resolve(verdict) : Promise.reject(verdict);
    },
  });
  const fail = (times: number): void => {
    for (let i = 0; i < times; i += 1) gate.enter()?.done('transport-failure', GONE);
  };
  return {
    clock,
    probes,
    gate,
    asked,
    outcomes,
    fail,
    set: (next: Verdict) => {
      verdict = next;
    },
    aborted: () => signal?.aborted,
  };
}

describe('health checks', () => {
  it('leave members alone that give no reason for doubt', async () => {
    const { clock, asked } = probing();
    await clock.pass(60_000);
    expect([asked, clock.pending]).toEqual([[], 0]);
  });

  it('bring a member back within one interval after it is there again', async () => {
    const { clock, gate, set, fail, asked, outcomes } = probing();
    set(GONE);
    fail(5);
    await clock.pass(12_000);
    expect([asked, gate.available()]).toEqual([[5000, 10_000], false]);
    set('answered');
    await clock.pass(3000);
    expect([gate.available(), outcomes]).toEqual([true, ['a failed', 'a failed', 'a ok']]);
    await clock.pass(60_000);
    expect(asked).toHaveLength(3);
  });

  it('come sooner by the jitter, and never later than the interval', async () => {
    const { clock, fail, asked } = probing({}, () => 1);
    fail(1);
    await clock.pass(4000);
    expect(asked).toEqual([4000]);
  });

  it('find out that a member is silent that clients only leave', async () => {
    const { clock, gate, set, asked, aborted } = probing();
    set('silence');
    const pass = gate.enter();
    clock.advance(2000);
    pass?.done('abandoned');
    await clock.pass(6000);
    expect([asked, aborted()]).toEqual([[7000], true]);
    await clock.pass(20_000);
    expect(gate.state()).toMatchObject({ condition: 'down', lastError: expect.stringContaining('within 1 s') });
  });

  it('ask everybody all the time when told to', async () => {
    const { clock, asked, gate, set } = probing({ mode: 'all' });
    await clock.pass(10_000);
    expect(asked).toEqual([5000, 10_000]);
    set(GONE);
    await clock.pass(15_000);
    expect(gate.state().condition).toBe('down');
  });

  it('change nothing where they cannot tell', async () => {
    const { clock, gate, set, fail } = probing();
    set('undetermined');
    fail(5);
    await clock.pass(20_000);
    expect(gate.available()).toBe(false);
  });

  it('end with what is under way, and leave no timer', async () => {
    const { clock, probes, set, fail, aborted, gate } = probing();
    set('silence');
    fail(1);
    await clock.pass(5000);
    await probes.close();
    expect([aborted(), clock.pending, gate.state().failures]).toEqual([true, 0, 1]);
    fail(1);
    expect(clock.pending).toBe(0);
  });
});
