import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ProxyError } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import {
  createRedactor,
  diffTapes,
  goldenOf,
  lintTape,
  readTape,
  redactLine,
  summariseTape,
  type Tape,
  timelineOf,
  withBlobs,
} from '../src/index.js';
import { libraryOf } from '../src/library.js';
import { bytesOf, newDigest } from './support/rig.js';

const ROUNDS = 150;
const tapes = ['v1-capture.tape.jsonl', 'v1-golden.tape.jsonl'].map((name) =>
  readFileSync(join(import.meta.dirname, 'tapes', name), 'utf8'),
);
const redactor = createRedactor({}, (text) => createHmac('sha256', 'k').update(text).digest('hex'));

/** Numbers that look random and are the same each time. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
}

const NAMES = [
  '__proto__',
  'constructor',
  'toString',
  '',
  '\u0000',
  '\ud800',
  '-',
  's0',
  '../../x',
  '\u001b[2J',
  'k',
  'm',
  'x',
];
const VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  0.5,
  1e308,
  '',
  [],
  {},
  [[]],
  { a: { b: {} } },
  '\u001b]0;x\u0007',
  'answered',
];

/** The value with one thing in it changed. */
function bent(value: unknown, random: (below: number) => number): unknown {
  const any = (): unknown => VALUES[random(VALUES.length)];
  const name = (): string => NAMES[random(NAMES.length)] ?? '';
  if (random(5) === 0 || typeof value !== 'object' || value === null) return random(2) === 0 ? any() : name();
  if (Array.isArray(value)) {
    const items = [...(value as unknown[])];
    const at = random(items.length + 1);
    items.splice(at, random(2), bent(items[at], random));
    return items;
  }
  const members = Object.entries(value);
  const at = random(members.length);
  const [key = name(), old] = members[at] ?? [];
  const change: [string, unknown][][] = [[], [[name(), old]], [[key, bent(old, random)]], [[key, any()]]];
  members.splice(at, 1, ...(change[random(change.length)] ?? []));
  return Object.fromEntries(members);
}

/** A tape of which some lines, or bytes, were changed. */
function mutated(text: string, random: (below: number) => number): Uint8Array {
  if (random(3) === 0) {
    const bytes = bytesOf(text);
    for (let times = random(4); times >= 0; times -= 1) bytes[random(bytes.length)] = random(256);
    return bytes.subarray(0, bytes.length - (random(2) === 0 ? 0 : random(bytes.length)));
  }
  const lines = text.split('\n');
  for (let times = random(4); times >= 0; times -= 1) {
    const at = random(lines.length - 1);
    const ways = [
      () => lines.splice(at, 1),
      () => lines.splice(random(lines.length), 0, lines[at] ?? ''),
      () => lines.splice(at, 1, JSON.stringify(bent(JSON.parse(lines[at] || '{}'), random))),
    ];
    ways[Math.max(0, random(6) - 3)]?.();
  }
  return bytesOf(lines.join('\n').replace(random(2) === 0 ? '"form":"capture"' : '', '"form":"golden"'));
}

const read = (bytes: Uint8Array): Tape => readTape(bytes, { name: 't', newDigest });

/** What every command does with a tape. Gives the golden form, when there is one. */
function use(bytes: Uint8Array, other: Tape): void {
  const tape = read(bytes);
  expect(tape.records.length).toBeGreaterThan(0);
  JSON.stringify([summariseTape(tape), timelineOf(tape), lintTape(tape), diffTapes(other, tape)]);
  libraryOf([tape]);
  for (const line of new TextDecoder().decode(bytes).split('\n')) redactLine(line, redactor);
  const golden = goldenOf(tape, { newDigest, times: true });
  const again = read(bytesOf(golden.lines.join('')));
  expect(again.problems.filter(({ kind }) => kind !== 'gap')).toEqual([]);
  const whole = withBlobs(again, (path) => golden.blobs.find((blob) => blob.path === path)?.bytes, newDigest);
  expect(goldenOf(whole, { newDigest, times: true }).lines).toEqual(golden.lines);
}

describe('a tape that somebody changed', () => {
  it.each(tapes.map((text, at) => [at + 1, text] as const))(
    'is used or refused in words, and what fmt makes of it is sound: %i',
    (seed, text) => {
      const random = numbers(seed);
      const other = read(bytesOf(tapes[0] ?? ''));
      let used = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        try {
          use(mutated(text, random), other);
          used += 1;
        } catch (error) {
          if (!(error instanceof ProxyError)) throw error;
          expect(error.code).toBe('tape_invalid');
        }
      }
      expect(used).toBeGreaterThan(ROUNDS / 4);
    },
    60_000,
  );
});
