import type { ComparedRow, DifferenceRow, Tally } from '@shadowcat/shadow';
import { printable } from '../tapes/render.js';
import { textTable } from '../text-table.js';

/** A difference with the share of the compared calls that show it, 0 to 1. */
interface Shared extends DifferenceRow {
  readonly share: number;
}

/** What mirroring found, as tables. */
export function findingsText(tally: Tally): string {
  const { compared, differences } = sorted(tally);
  const sum = (pick: (row: ComparedRow) => number): number => compared.reduce((total, row) => total + pick(row), 0);
  const calls = sum((row) => row.compared);
  const failed = sum((row) => row.failed);
  const unanswered = failed === 0 ? '' : `, ${failed} more not answered by the second server`;
  const head = `${calls} requests compared, ${sum((row) => row.different)} of them answered differently${unanswered}\n`;
  if (compared.length === 0) return head;
  const rows = compared.map((row) => [row.method, row.tool, `${row.compared}`, `${row.different}`, `${row.failed}`]);
  const all = `${head}\n${tableOf(['METHOD', 'NAME', 'COMPARED', 'DIFFERENT', 'FAILED'], rows)}`;
  if (differences.length === 0) return all;
  const headings = ['METHOD', 'NAME', 'COUNT', 'SHARE', 'KIND', 'FIRST', 'SECOND', 'SINCE', 'LAST', 'POINTER'];
  return `${all}\n${tableOf(headings, differences.map(differenceRow))}`;
}

/** The same as a value; times as ISO 8601. */
export function findingsJson(tally: Tally): object {
  const { compared, differences } = sorted(tally);
  return { compared: compared.map(timed), differences: differences.map(timed) };
}

/** The methods with most differences first, and within each the most frequent ones. */
function sorted(tally: Tally): { readonly compared: readonly ComparedRow[]; readonly differences: readonly Shared[] } {
  const order = (a: ComparedRow, b: ComparedRow): number => b.different - a.different || b.compared - a.compared;
  const compared = [...tally.compared].sort(order);
  const calls = new Map(compared.map((row) => [keyOf(row), row.compared]));
  const rank = new Map(compared.map((row, at) => [keyOf(row), at]));
  const rankOf = (row: DifferenceRow): number => rank.get(keyOf(row)) ?? compared.length;
  const differences = tally.differences
    .map((row) => ({ ...row, share: Math.min(1, row.count / (calls.get(keyOf(row)) || row.count)) }))
    .sort((a, b) => rankOf(a) - rankOf(b) || b.count - a.count || a.pointer.localeCompare(b.pointer));
  return { compared, differences };
}

function keyOf({ method, tool }: { readonly method: string; readonly tool: string }): string {
  return JSON.stringify([method, tool]);
}

function differenceRow(row: Shared): string[] {
  const { method, tool, count, share, kind, primary, shadow, first, last, pointer } = row;
  const times = [first, last].map((at) => new Date(at).toISOString().slice(0, 19));
  const where = pointer === '' ? '(all of it)' : pointer;
  return [method, tool, `${count}`, percent(share), kind, primary ?? '-', shadow ?? '-', ...times, where];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

function timed<T extends { readonly first: number; readonly last: number }>(row: T): object {
  return { ...row, first: new Date(row.first).toISOString(), last: new Date(row.last).toISOString() };
}

function tableOf(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  return textTable(
    headings,
    rows.map((row) => row.map(printable)),
  );
}
