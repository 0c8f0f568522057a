import { writeFile } from 'node:fs/promises';
import { ProxyError } from '@shadowcat/kernel';
import { adviceFor, readTape, Seal, type Tape } from '@shadowcat/tape';
import { newDigest } from './digest.js';
import type { Runs } from './part-file.js';
import { readTapeBytes } from './read-file.js';
import { PART_SUFFIX } from './tape-names.js';
import { beingWritten } from './tape-owner.js';

/** What a recovery kept. */
export interface Recovery {
  readonly out: string;
  readonly records: number;
  /** Bytes at the end that were given up. */
  readonly dropped: number;
  /** Exchanges that had not ended, and are marked so. */
  readonly open: number;
}

/**
 * Makes a tape again of one that was cut short or damaged: keeps what is whole, marks exchanges that had not ended, and
 * writes an `end` record that says so. `out` (default: the name without `.part`) must not exist. Throws `tape_invalid` when
 * there is nothing to recover, or nothing that can be trusted, and while the process `runs` that records the tape.
 */
export async function recoverTape(part: string, out = defaultOut(part), runs?: Runs): Promise<Recovery> {
  const bytes = await readTapeBytes(part);
  const tape = readTape(bytes, { name: part, newDigest });
  const damage = tape.problems.find(({ kind }) => kind !== 'gap');
  if (damage === undefined)
    throw new ProxyError('tape_invalid', `${part}: the tape is whole: there is nothing to recover${renaming(part)}`);
  const owner = tape.head.process;
  if (tape.end === undefined && owner !== undefined && runs?.(owner) === true)
    throw new ProxyError('tape_invalid', `${beingWritten(part, owner)}, and becomes a tape when that ends`);
  if (damage.kind === 'edited')
    throw new ProxyError('tape_invalid', `${part}:${damage.line}: ${damage.message}. ${adviceFor(damage, part)}`);
  const lines = damage.kind === 'corrupt' && tape.end === undefined ? verifiedLines(tape) : tape.records.length;
  if (lines === 0) {
    throw new ProxyError('tape_invalid', `${part}:${damage.line}: ${damage.message}; no part of it can be trusted`);
  }
  const kept = bytes.subarray(0, offsetOf(bytes, lines - (tape.end === undefined ? 0 : 1)));
  const exits = openExchanges(tape, lines);
  const text = `${exits.map((exit) => `${exit}\n`).join('')}`;
  const seal = sealOf(kept, tape, lines);
  const added = Buffer.from(text);
  if (exits.length > 0) seal.wrote(added, exits.length, 0);
  const lost = tape.records.reduce((sum, record) => sum + (record.k === 'gap' ? record.lost : 0), 0);
  const whole = Buffer.concat([kept, added, Buffer.from(`${seal.end(lost, true)}\n`)]);
  await writeNew(out, whole);
  return { out, records: seal.lines, dropped: bytes.length - kept.length, open: exits.length };
}

/** A recorder that ends between the last line and the name leaves a tape that lacks its name only. */
function renaming(part: string): string {
  return part.endsWith(PART_SUFFIX) ? `; rename it to ${defaultOut(part)}` : '';
}

function defaultOut(part: string): string {
  const at = part.lastIndexOf(PART_SUFFIX);
  return at > 0 ? part.slice(0, at) : `${part}.recovered`;
}

/** Lines up to the last checkpoint that was right: one of those after it was changed, and nobody knows which. */
function verifiedLines(tape: Tape): number {
  return tape.records.findLast(({ k }) => k === 'ckpt')?.line ?? 0;
}

/** Where line `count` ends. */
function offsetOf(bytes: Uint8Array, count: number): number {
  let at = 0;
  for (let line = 0; line < count; line += 1) at = bytes.indexOf(0x0a, at) + 1;
  return at;
}

/** A seal that has seen the kept bytes; the checkpoints among them stay what they are. */
function sealOf(kept: Uint8Array, tape: Tape, lines: number): Seal {
  const seal = new Seal(newDigest);
  const last = tape.records.findLast((record) => record.k === 'ckpt' && record.line <= lines)?.line;
  const segment = last === undefined ? 0 : offsetOf(kept, last - 1);
  if (last !== undefined) {
    seal.wrote(kept.subarray(0, segment), last - 1, 0);
    seal.restart();
  }
  seal.wrote(kept.subarray(segment), countLines(kept, segment), 0);
  return seal;
}

function countLines(bytes: Uint8Array, from: number): number {
  let count = 0;
  for (let at = bytes.indexOf(0x0a, from); at >= 0; at = bytes.indexOf(0x0a, at + 1)) count += 1;
  return count;
}

/** An `x-` line for each exchange among the first `lines` that has none. */
function openExchanges(tape: Tape, lines: number): string[] {
  const open = new Map<string, string>();
  for (const record of tape.records) {
    if (record.line > lines) break;
    if (!('x' in record) || record.x === undefined) continue;
    const name = `${record.s} ${record.x}`;
    if (record.k === 'x-') open.delete(name);
    else open.set(name, JSON.stringify({ k: 'x-', s: record.s, x: record.x, end: 'open-at-end' }));
  }
  return [...open.values()];
}

async function writeNew(out: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(out, bytes, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    const why = exists ? 'exists already: name another file with -o' : `cannot be written: ${(error as Error).message}`;
    throw new ProxyError('tape_invalid', `${out} ${why}`, { cause: error });
  }
}
