import { describe, expect, it } from 'vitest';
import { advance, isIdle, opening, reopened, type SessionEvent, type SessionPhase } from '../src/state.js';

const EVENTS: readonly SessionEvent[] = [
  'accepted',
  'used',
  'settled',
  'refused',
  'deleted',
  'idle',
  'evicted',
  'lost',
];

const TABLE: Readonly<Record<SessionPhase, Partial<Record<SessionEvent, SessionPhase>>>> = {
  opening: { accepted: 'open', refused: 'ended' },
  open: {
    used: 'open',
    settled: 'open',
    refused: 'ended',
    deleted: 'ended',
    idle: 'ended',
    evicted: 'ended',
    lost: 'ended',
  },
  ended: { settled: 'ended' },
};

const IN = {
  opening: opening(0),
  open: reopened(0),
  ended: advance(reopened(0), 'deleted', 0),
};

describe('advance', () => {
  for (const phase of ['opening', 'open', 'ended'] as const) {
    for (const event of EVENTS) {
      const expected = TABLE[phase][event];
      it(`${phase} + ${event} -> ${expected ?? 'a mistake'}`, () => {
        if (expected === undefined) {
          expect(() => advance(IN[phase], event, 5)).toThrow(`a session that is ${phase} cannot be ${event}`);
        } else {
          expect(advance(IN[phase], event, 5).phase).toBe(expected);
        }
      });
    }
  }

  it('counts the initialize as in flight until it is settled', () => {
    const open = advance(opening(1), 'accepted', 2);
    expect(open).toEqual({ phase: 'open', lastUsed: 2, inFlight: 1 });
    expect(advance(open, 'settled', 9)).toEqual({ phase: 'open', lastUsed: 9, inFlight: 0 });
  });

  it('keeps the reason of the end while what was in flight settles', () => {
    const used = advance(reopened(0), 'used', 1);
    const ended = advance(used, 'lost', 2);
    expect(ended).toEqual({ phase: 'ended', lastUsed: 1, inFlight: 1, endedBy: 'lost' });
    expect(advance(ended, 'settled', 3)).toEqual({ phase: 'ended', lastUsed: 3, inFlight: 0, endedBy: 'lost' });
  });
});

describe('isIdle', () => {
  it.each([
    [{ used: false, now: 100 }, false],
    [{ used: false, now: 101 }, true],
    [{ used: true, now: 1_000_000 }, false],
  ])('%o -> %s', ({ used, now }, expected) => {
    const state = used ? advance(reopened(0), 'used', 0) : reopened(0);
    expect(isIdle(state, now, 100)).toBe(expected);
  });
});
