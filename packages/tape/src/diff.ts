import { type Difference, differencesOf, type Located } from './differences.js';
import { jsonTree, memberOf } from './json-tree.js';
import { libraryOf } from './library.js';
import type { RecordedLane, Recording } from './recording.js';
import type { Tape } from './records.js';
import { shapeOf } from './request-key.js';
import { saidChanges } from './said-changes.js';
import { LISTS, surfaceOf } from './surface.js';
import { type SurfaceChange, surfaceChanges } from './surface-changes.js';
import { compareSpots } from './verify/compare.js';
import { spotAt } from './verify/scalars.js';

/** An operation that two tapes have differently. */
export interface OperationChange {
  /**
   * `asked`: the same method and target with other parameters. `answered`: the same question, another answer. `said`: what the
   * server said or asked of its own accord, and what the client answered.
   */
  readonly kind: 'added' | 'removed' | 'asked' | 'answered' | 'said';
  /** The lane on the tape that has it. */
  readonly s: string;
  readonly method: string;
  readonly target: string | undefined;
  /** Lines of the request (`asked`, `added`, `removed`) or of the answer; `undefined` where it is not there. */
  readonly before: number | undefined;
  readonly after: number | undefined;
  /** `recorded` is of the first tape, `got` of the second. */
  readonly differences: readonly Difference[];
}

export interface TapeDiff {
  readonly equal: boolean;
  readonly surface: readonly SurfaceChange[];
  readonly operations: readonly OperationChange[];
}

/**
 * Compares two tapes by what was asked and answered, not by position: ids, times, order and framing are not looked at. The
 * tapes hold their blobs.
 */
export function diffTapes(before: Tape, after: Tape): TapeDiff {
  const [a, b] = [libraryOf([before]), libraryOf([after])];
  const operations = compareLanes(a.sessionless, b.sessionless);
  for (let at = 0; at < Math.max(a.sessions.length, b.sessions.length); at += 1) {
    operations.push(...compareLanes(a.sessions[at], b.sessions[at]));
  }
  const surface = surfaceChanges(surfaceOf(before), surfaceOf(after));
  return { equal: operations.length === 0 && surface.length === 0, surface, operations };
}

function compareLanes(before: RecordedLane | undefined, after: RecordedLane | undefined): OperationChange[] {
  const changes: OperationChange[] = [];
  const left = [...(before?.recordings ?? [])];
  const right = [...(after?.recordings ?? [])];
  for (const [a, b] of pairs(left, right, ({ key }) => key)) changes.push(...answerChanges(a, b, before?.name ?? ''));
  for (const [a, b] of pairs(left, right, ({ method, target }) => `${method}\n${target ?? ''}`)) {
    changes.push(...askedChanges(a, b, before?.name ?? ''), ...answerChanges(a, b, before?.name ?? ''));
  }
  for (const recording of left) changes.push(lonely('removed', recording, before?.name ?? ''));
  for (const recording of right) changes.push(lonely('added', recording, after?.name ?? ''));
  // What came of requests that are only on one tape says nothing new.
  const lonesome = new Set([...left, ...right]);
  changes.push(...saidChanges(before, after, lonesome));
  return changes.sort((a, b) => (a.before ?? a.after ?? 0) - (b.before ?? b.after ?? 0));
}

/** Those with an equal in the other list, first with first; they are taken out of both. */
function pairs(
  left: Recording[],
  right: Recording[],
  keyOf: (recording: Recording) => string,
): [Recording, Recording][] {
  const waiting = new Map<string, Recording[]>();
  for (const recording of right) {
    const key = keyOf(recording);
    const same = waiting.get(key);
    if (same === undefined) waiting.set(key, [recording]);
    else same.push(recording);
  }
  const found: [Recording, Recording][] = [];
  const taken = new Set<Recording>();
  for (const recording of left) {
    const other = waiting.get(keyOf(recording))?.shift();
    if (other === undefined) continue;
    found.push([recording, other]);
    taken.add(recording).add(other);
  }
  for (const list of [left, right]) list.splice(0, list.length, ...list.filter((recording) => !taken.has(recording)));
  return found;
}

function lonely(kind: 'added' | 'removed', { method, target, place }: Recording, s: string): OperationChange {
  const lines = kind === 'added' ? { before: undefined, after: place.line } : { before: place.line, after: undefined };
  return { kind, s, method, target, ...lines, differences: [] };
}

function askedChanges(a: Recording, b: Recording, s: string): OperationChange[] {
  const asked = ({ method, message }: Recording): Located => {
    const { text, params } = shapeOf(method, message.text);
    return { text, node: params };
  };
  const differences = differencesOf(asked(a), asked(b)).filter(counts);
  if (differences.length === 0) return [];
  const { method, target } = a;
  return [{ kind: 'asked', s, method, target, before: a.place.line, after: b.place.line, differences }];
}

/** The server's own token (2026-07-28) is another one each time, and numbered in the golden form: only that there is one counts. */
function counts({ pointer, recorded, got }: Difference): boolean {
  return pointer !== '/requestState' || recorded === undefined || got === undefined;
}

function answerChanges(a: Recording, b: Recording, s: string): OperationChange[] {
  const differences = (listDifferences(a, b) ?? differencesOf(outcomeOf(a), outcomeOf(b))).filter(counts);
  if (differences.length === 0) return [];
  const { method, target } = a;
  const lineOf = ({ answer, place }: Recording): number => answer?.place.line ?? place.line;
  return [{ kind: 'answered', s, method, target, before: lineOf(a), after: lineOf(b), differences }];
}

/** Of lists of what a server offers, name by name; `undefined` of anything else. */
function listDifferences(a: Recording, b: Recording): readonly Difference[] | undefined {
  if (!Object.hasOwn(LISTS, a.method) || a.answer === undefined || b.answer === undefined) return undefined;
  const [one, other] = [a.answer, b.answer].map(({ text }) => spotAt({ text, node: jsonTree(text) }, ['result']));
  if (one === undefined || other === undefined) return undefined;
  const comparing = { level: 'json', same: () => false, ignored: () => false } as const;
  return compareSpots(one, other, { comparing, path: ['result'] }).map(({ pointer, recorded, got }) => {
    return { pointer: pointer.slice('/result'.length), recorded, got };
  });
}

/** The result or the error; of what was not answered, how it ended. */
function outcomeOf({ answer, exit, raw }: Recording): Located {
  if (answer === undefined) {
    const text = JSON.stringify(raw === undefined ? { end: exit?.end ?? 'open' } : { raw: raw.text });
    return { text, node: jsonTree(text) };
  }
  const node = jsonTree(answer.text);
  const members = node.kind === 'object' ? node.members.filter(({ key }) => key === 'result' || key === 'error') : [];
  const [only] = members;
  // A bare result reads better than /result/…; an error is told apart by its members.
  return {
    text: answer.text,
    node:
      members.length === 1 && only?.key === 'result' ? memberOf(node, 'result') : { ...node, kind: 'object', members },
  };
}
