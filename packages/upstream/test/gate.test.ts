import { silentLog } from '@shadowcat/kernel';
import { ManualClock } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import type { ExchangeOutcome, Pass } from '../src/member.js';
import { BREAKER, type BreakerEvent, type BreakerState } from '../src/protect/breaker-table.js';
import { createGate, type GateComponents, type GateOptions } from '../src/protect/gate.js';

function gateOf(options: Partial<GateOptions> = {}, components: Partial<GateComponents> = {}) {
  const clock = new ManualClock();
  const suspicions: number[] = [];
  const gate = createGate({ name: 'a', ...options })({
    clock,
    log: silentLog,
    suspected: () => suspicions.push(clock.now()),
    ...components,
  });
  const enter = (): Pass => {
    const pass = gate.enter();
    if (pass === undefined) throw new Error('the gate let nothing pass');
    return pass;
  };
  const end = (outcome: ExchangeOutcome, times = 1): void => {
    for (let i = 0; i < times; i += 1) enter().done(outcome, new Error(`it was a ${outcome}`));
  };
  return { clock, gate, enter, end, suspicions };
}

describe('the breaker', () => {
  it.each<[BreakerState, BreakerEvent, BreakerState | undefined]>([
    ['closed', 'tripped', 'open'],
    ['closed', 'waited', undefined],
    ['closed', 'answered', undefined],
    ['closed', 'failed', undefined],
    ['closed', 'recovered', undefined],
    ['open', 'tripped', undefined],
    ['open', 'waited', 'half-open'],
    ['open', 'answered', undefined],
    ['open', 'failed', undefined],
    ['open', 'recovered', 'closed'],
    ['half-open', 'tripped', 'open'],
    ['half-open', 'waited', undefined],
    ['half-open', 'answered', 'closed'],
    ['half-open', 'failed', 'open'],
    ['half-open', 'recovered', 'closed'],
  ])('when %s and %s is then %s', (state, event, next) => {
    expect(BREAKER[state][event]).toBe(next);
  });

  it.each(['transport-failure', 'timeout'] as const)('opens after five in a row with the outcome %s', (outcome) => {
    const { gate, end } = gateOf();
    end(outcome, 4);
    end('answered');
    end(outcome, 4);
    expect(gate.available()).toBe(true);
    end(outcome);
    expect(gate.available()).toBe(false);
    expect(gate.enter()).toBeUndefined();
    expect(gate.state()).toMatchObject({
      condition: 'ejected',
      ejections: 1,
      lastError: `it was a ${outcome}`,
      reopensInMs: 30_000,
    });
  });

  it('opens when half of at least twenty fail within ten seconds', () => {
    const { gate, end } = gateOf();
    for (let i = 0; i < 9; i += 1) {
      end('transport-failure');
      end('answered');
    }
    end('answered');
    expect(gate.available()).toBe(true);
    end('transport-failure');
    expect(gate.available()).toBe(false);
  });

  it('forgets what is older than that', () => {
    const { gate, end, clock } = gateOf();
    for (let i = 0; i < 9; i += 1) {
      end('transport-failure');
      end('answered');
    }
    clock.advance(10_000);
    end('answered');
    end('transport-failure');
    expect(gate.available()).toBe(true);
  });

  it('lets one exchange at a time find out after its time, and opens again when that fails', () => {
    const { gate, end, enter, clock } = gateOf({ openMs: 1000 });
    end('timeout', 5);
    clock.advance(999);
    expect(gate.enter()).toBeUndefined();
    clock.advance(1);
    expect(gate.state().condition).toBe('probing');
    const probe = enter();
    expect([gate.available(), gate.enter()]).toEqual([false, undefined]);
    probe.done('timeout');
    expect(gate.breaker).toBe('open');
    clock.advance(1000);
    end('answered');
    expect(gate.state()).toMatchObject({ condition: 'up', failures: 0, lastError: undefined });
  });

  it('lets the next one find out when nobody waited for the first', () => {
    const { gate, end, enter, clock } = gateOf({ openMs: 1000 });
    end('timeout', 5);
    clock.advance(1000);
    enter().done('abandoned');
    expect(gate.available()).toBe(true);
    expect(gate.breaker).toBe('half-open');
  });

  it('lets the next one find out when the first is still under way after as long as it was open', () => {
    const { gate, end, enter, clock } = gateOf({ openMs: 1000 });
    end('timeout', 5);
    clock.advance(1000);
    const standing = enter();
    clock.advance(999);
    expect([gate.enter(), gate.state().reopensInMs]).toEqual([undefined, 1]);
    clock.advance(1);
    enter().done('answered');
    expect(gate.breaker).toBe('closed');
    standing.done('timeout');
    expect(gate.state().failures).toBe(0);
  });

  it('says that it may be back at the next probe, where that is sooner than the end of its time', () => {
    let every: number | undefined = 5000;
    const { gate, end, clock } = gateOf({ rise: 2 }, { probedEveryMs: () => every });
    end('timeout', 5);
    expect(gate.state().reopensInMs).toBe(10_000);
    gate.probed();
    expect(gate.state().reopensInMs).toBe(5000);
    clock.advance(28_000);
    expect(gate.state().reopensInMs).toBe(2000);
    every = undefined;
    expect(gate.state().reopensInMs).toBe(2000);
    gate.probed();
    expect(gate.state()).not.toHaveProperty('reopensInMs');
  });

  it('spreads the ends of open times by a fifth', () => {
    const early = gateOf({}, { random: () => 0 });
    const late = gateOf({}, { random: () => 1 });
    early.end('timeout', 5);
    late.end('timeout', 5);
    expect(early.gate.state().reopensInMs).toBe(24_000);
    expect(late.gate.state().reopensInMs).toBeCloseTo(36_000);
  });

  it.each(['answered', 'timeout', 'abandoned'] as const)('hears nothing of what began before it opened: %s', (late) => {
    const { gate, end, enter, clock } = gateOf({ openMs: 1000 });
    const before = enter();
    end('timeout', 5);
    clock.advance(1000);
    enter();
    before.done(late);
    expect([gate.breaker, gate.available()]).toEqual(['half-open', false]);
  });

  it('counts each exchange once', () => {
    const { gate, enter } = gateOf({ failures: 2 });
    const pass = enter();
    pass.done('timeout');
    pass.done('timeout');
    expect(gate.available()).toBe(true);
  });

  it('never opens with 0 failures, nor while too many others are out', () => {
    const never = gateOf({ failures: 0 });
    never.end('timeout', 100);
    expect(never.gate.available()).toBe(true);
    let allowed = false;
    const spared = gateOf({}, { mayOpen: () => allowed });
    spared.end('timeout', 7);
    expect(spared.gate.available()).toBe(true);
    allowed = true;
    spared.end('timeout');
    expect(spared.gate.available()).toBe(false);
  });
});

describe('probes and the breaker', () => {
  it('opens after `fall` failed probes in a row, and closes after `rise` answered ones', () => {
    const { gate } = gateOf({ fall: 3, rise: 2 });
    gate.probed(new Error('silent'));
    gate.probed(new Error('silent'));
    gate.probed();
    gate.probed(new Error('silent'));
    gate.probed(new Error('silent'));
    expect(gate.available()).toBe(true);
    gate.probed(new Error('silent'));
    expect(gate.state()).toMatchObject({ condition: 'down', lastError: 'silent' });
    gate.probed();
    expect(gate.available()).toBe(false);
    gate.probed();
    expect(gate.state()).toMatchObject({ condition: 'up', lastError: undefined });
  });

  it('closes at the first answered probe, long before its open time is over', () => {
    const { gate, end } = gateOf();
    end('transport-failure', 5);
    gate.probed();
    expect(gate.available()).toBe(true);
  });

  it('is not opened by probes while real exchanges are answered', () => {
    const { gate, end } = gateOf({ fall: 2 });
    for (let i = 0; i < 5; i += 1) {
      gate.probed(new Error('silent'));
      end('answered');
    }
    expect(gate.available()).toBe(true);
  });

  it('is under suspicion after failures, and after somebody left who had waited; no longer once it is well', () => {
    const { gate, end, enter, clock, suspicions } = gateOf();
    enter().done('abandoned');
    expect(gate.suspect).toBe(false);
    const patient = enter();
    clock.advance(1000);
    patient.done('abandoned');
    expect([gate.suspect, suspicions]).toEqual([true, [1000]]);
    gate.probed();
    expect(gate.suspect).toBe(false);
    end('timeout');
    expect([gate.suspect, suspicions]).toEqual([true, [1000, 1000]]);
  });
});
