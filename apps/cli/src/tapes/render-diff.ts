import type { Difference, OperationChange, SurfaceChange, TapeDiff } from '@shadowcat/tape';
import { printable } from './render.js';

/** The tapes by the names that the user gave. */
export interface DiffNames {
  readonly before: string;
  readonly after: string;
}

const MAX_VALUE = 100;

/** How two tapes differ: what the server offers, what breaks first, then each operation with its lines. */
export function diffText({ surface, operations }: TapeDiff, names: DiffNames): string {
  const lines = [
    ...(surface.length === 0 ? [] : ['What the server offers:']),
    ...surface.map((change) => `  ${surfaceLine(change, names)}`),
    ...(operations.length === 0 ? [] : ['What was asked and answered:']),
    ...operations.flatMap((change) => operationLines(change, names).map((line) => `  ${line}`)),
  ];
  return lines.map((line) => `${printable(line)}\n`).join('');
}

function surfaceLine({ rating, kind, name, at, message, before, after }: SurfaceChange, names: DiffNames): string {
  const what = name === '' ? kind : `${kind} ${name}`;
  return `${rating}: ${what}${at === '' ? '' : ` ${at}`}: ${message} (${placeOf({ before, after }, names)})`;
}

const VERBS = {
  added: 'added',
  removed: 'removed',
  asked: 'asked otherwise',
  answered: 'answered otherwise',
  said: 'said otherwise',
} as const;

function operationLines(change: OperationChange, names: DiffNames): string[] {
  const { kind, method, target, differences } = change;
  const what = target === undefined ? method : `${method} ${target}`;
  const alone = kind === 'said' ? saidBy(change) : undefined;
  return [
    `${alone ?? VERBS[kind]}: ${what} (${placeOf(change, names)})`,
    ...differences.map((difference) => `  ${differenceLine(difference)}`),
  ];
}

/** What the server said on one of the tapes only. */
function saidBy({ before, after }: OperationChange): string | undefined {
  if (before === undefined) return 'said now';
  return after === undefined ? 'not said any more' : undefined;
}

function differenceLine({ pointer, recorded, got }: Difference): string {
  return `${pointer === '' ? '/' : pointer}: ${valueText(recorded)} → ${valueText(got)}`;
}

function valueText(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}

function placeOf(
  { before, after }: { readonly before: number | undefined; readonly after: number | undefined },
  names: DiffNames,
): string {
  const places = [
    ...(before === undefined ? [] : [`${names.before}:${before}`]),
    ...(after === undefined ? [] : [`${names.after}:${after}`]),
  ];
  return places.join(', ');
}
