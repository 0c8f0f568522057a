import { asObject } from '@shadowcat/wire';
import type { Difference } from './compare.js';
import type { Subject } from './contract.js';

/** How many calls of one kind were mirrored. Times are milliseconds since the epoch. */
export interface ComparedRow extends Subject {
  /** Calls that were answered by both. */
  compared: number;
  /** Those of them whose answers differ. */
  different: number;
  /** Calls that the shadow did not answer, or not in time. */
  failed: number;
  first: number;
  last: number;
}

/** One difference, and in how many calls it was seen. No values: they may be secrets. */
export interface DifferenceRow extends Subject, Omit<Difference, 'place'> {
  count: number;
  first: number;
  last: number;
}

export interface TallyOptions {
  /** How many differences are told apart. Default 10,000. */
  readonly maxDifferences?: number;
}

/** What stands for the pointers of differences beyond the limit. */
export const BEYOND = '(other)';
const MAX_SUBJECTS = 2_000;

/** Counts what comparing found. Adding up what several tallies wrote gives the same as one tally would have. */
export class Tally {
  readonly #compared = new Map<string, ComparedRow>();
  readonly #differences = new Map<string, DifferenceRow>();
  readonly #max: number;

  constructor({ maxDifferences = 10_000 }: TallyOptions = {}) {
    this.#max = maxDifferences;
  }

  get empty(): boolean {
    return this.#compared.size === 0 && this.#differences.size === 0;
  }
  get compared(): readonly ComparedRow[] {
    return [...this.#compared.values()];
  }
  get differences(): readonly DifferenceRow[] {
    return [...this.#differences.values()];
  }

  /** A call that both answered. */
  answered({ method, tool }: Subject, differences: readonly Difference[], at: number): void {
    const different = differences.length === 0 ? 0 : 1;
    this.#addCompared({ method, tool, compared: 1, different, failed: 0, first: at, last: at });
    for (const { pointer, kind, primary, shadow } of differences) {
      this.#addDifference({ method, tool, pointer, kind, primary, shadow, count: 1, first: at, last: at });
    }
  }

  /** A call that the shadow did not answer. */
  failed({ method, tool }: Subject, at: number): void {
    this.#addCompared({ method, tool, compared: 0, different: 0, failed: 1, first: at, last: at });
  }

  /** All that is counted, as lines of JSON, and starts again at nothing. */
  drain(): string {
    const lines = [
      ...this.compared.map((row) => lineOf('compared', row)),
      ...this.differences.map((row) => lineOf('difference', row)),
    ];
    this.#compared.clear();
    this.#differences.clear();
    return lines.map((line) => `${line}\n`).join('');
  }

  /** Adds what {@link Tally.drain} wrote. Returns how many lines are none of its own, such as one that was cut off. */
  add(text: string): number {
    let unreadable = 0;
    for (const line of text.split('\n')) {
      if (line.trim() === '') continue;
      const entry = entryOf(line);
      if (entry === undefined) unreadable += 1;
      else if (entry.kind === 'compared') this.#addCompared(entry.row);
      else this.#addDifference(entry.row);
    }
    return unreadable;
  }

  #addCompared(row: ComparedRow): void {
    const known = this.#compared.has(keyOf(row)) || this.#compared.size < MAX_SUBJECTS;
    const added = known ? row : { ...row, tool: BEYOND };
    const mine = this.#compared.get(keyOf(added));
    if (mine === undefined) {
      this.#compared.set(keyOf(added), { ...added });
      return;
    }
    mine.compared += row.compared;
    mine.different += row.different;
    mine.failed += row.failed;
    spread(mine, row);
  }

  #addDifference(row: DifferenceRow): void {
    const known = this.#differences.has(keyOfDifference(row)) || this.#differences.size < this.#max;
    const added: DifferenceRow = known
      ? row
      : { ...row, tool: '', pointer: BEYOND, kind: 'value', primary: undefined, shadow: undefined };
    const key = keyOfDifference(added);
    const mine = this.#differences.get(key);
    if (mine === undefined) {
      this.#differences.set(key, { ...added });
      return;
    }
    mine.count += row.count;
    spread(mine, row);
  }
}

function spread(mine: { first: number; last: number }, other: { readonly first: number; readonly last: number }): void {
  mine.first = Math.min(mine.first, other.first);
  mine.last = Math.max(mine.last, other.last);
}

function keyOf({ method, tool }: Subject): string {
  return JSON.stringify([method, tool]);
}

function keyOfDifference({ method, tool, pointer, kind, primary, shadow }: Omit<DifferenceRow, 'count'>): string {
  return JSON.stringify([method, tool, pointer, kind, primary, shadow]);
}

type Entry =
  | { readonly kind: 'compared'; readonly row: ComparedRow }
  | { readonly kind: 'difference'; readonly row: DifferenceRow };

/** Times are written as people read them. */
function lineOf(k: Entry['kind'], { first, last, ...row }: ComparedRow | DifferenceRow): string {
  return JSON.stringify({ k, ...row, first: new Date(first).toISOString(), last: new Date(last).toISOString() });
}

const KINDS: readonly unknown[] = ['missing', 'extra', 'type', 'value', 'order'];
const TYPES: readonly unknown[] = [undefined, 'null', 'boolean', 'number', 'string', 'array', 'object'];

function entryOf(line: string): Entry | undefined {
  let value: Readonly<Record<string, unknown>> | undefined;
  try {
    value = asObject(JSON.parse(line));
  } catch {
    return undefined;
  }
  if (value === undefined) return undefined;
  const { k, method, tool, first: from, last: to, ...rest } = value;
  const [first, last] = [Date.parse(String(from)), Date.parse(String(to))];
  if (typeof method !== 'string' || typeof tool !== 'string' || Number.isNaN(first + last)) return undefined;
  const common = { method, tool, first, last };
  if (k === 'compared') {
    const { compared, different, failed } = rest;
    if (!isCount(compared) || !isCount(different) || !isCount(failed)) return undefined;
    return { kind: 'compared', row: { ...common, compared, different, failed } };
  }
  const { pointer, kind, primary, shadow, count } = rest;
  if (k !== 'difference' || typeof pointer !== 'string' || !isCount(count)) return undefined;
  if (!KINDS.includes(kind) || !TYPES.includes(primary) || !TYPES.includes(shadow)) return undefined;
  return { kind: 'difference', row: { ...common, pointer, kind, primary, shadow, count } as DifferenceRow };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
