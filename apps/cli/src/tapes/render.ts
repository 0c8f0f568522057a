import type { ExchangeSummary, TapeSummary } from '@shadowcat/tape';
import type { ListedTape } from '@shadowcat/tape-file';
import { printable } from '../printable.js';
import { textTable } from '../text-table.js';

export { printable } from '../printable.js';

/** The tapes of a directory, one a line. */
export function tapeList(tapes: readonly ListedTape[]): string {
  const rows = tapes.map(({ path, summary, error }) => {
    if (summary === undefined) return [path, '-', '-', '-', '-', error ?? 'unreadable'];
    const { sessions, exchanges, records, at } = summary;
    return [path, `${sessions.length}`, `${exchanges.length}`, `${records}`, at?.slice(0, 19) ?? '-', stateOf(summary)];
  });
  return tableOf(['TAPE', 'SESSIONS', 'EXCHANGES', 'RECORDS', 'RECORDED', 'STATE'], rows);
}

/** What is on one tape: where it is from, its sessions, its exchanges with the lines they begin in. */
export function tapeText(summary: TapeSummary): string {
  const times = summary.timed ? ['AT', 'TOOK'] : [];
  const headings = ['LINE', 'SESSION', 'METHOD', 'TARGET', 'STATUS', 'MESSAGES', ...times, 'END'];
  const rows = summary.exchanges.map((exchange) => exchangeRow(exchange, summary.timed));
  return `${headText(summary)}\n${tableOf(headings, rows)}`;
}

/** Where a tape is from, its sessions, and what the proxy noted. */
export function headText(summary: TapeSummary): string {
  const { name, form, version, at, records, took } = summary;
  const head = [
    `${name}: ${form}, format ${version}${at === undefined ? '' : `, recorded ${at}`}`,
    `${records} records, ${summary.exchanges.length} exchanges${summary.timed ? `, ${seconds(took)}` : ''}; ${stateOf(summary)}`,
  ];
  const sessions = summary.sessions.map(
    ({ s, era, version: revision, client, server }) =>
      `session ${s}: ${era}${revision === undefined ? '' : ` ${revision}`}, client ${client ?? '?'}, server ${server ?? '?'}`,
  );
  const notes = summary.notes.map(
    ({ line, s, at: when, text }) => `note, line ${line}, session ${s}, +${seconds(when)}: ${text}`,
  );
  return [...head, ...sessions, ...notes].map((line) => `${printable(line)}\n`).join('');
}

function tableOf(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  return textTable(
    headings,
    rows.map((row) => row.map(printable)),
  );
}

/** What is wrong with a tape, a line each. */
export function problemLines({ name, problems }: Pick<TapeSummary, 'name' | 'problems'>): readonly string[] {
  return problems.map(({ line, message }) => printable(`${name}:${line}: ${message}`));
}

function exchangeRow(exchange: ExchangeSummary, timed: boolean): string[] {
  const { line, s, method, target, status, messages, at, took, end } = exchange;
  const times = timed ? [`+${seconds(at)}`, seconds(took)] : [];
  return [`${line}`, s, method, target ?? '', `${status ?? ''}`, `${messages}`, ...times, end ?? 'cut off'];
}

/** Whether a tape is whole, in a word or two. */
export function stateOf({ whole, recovered, lost, problems }: TapeSummary): string {
  const worst = problems.find(({ kind }) => kind !== 'gap') ?? problems[0];
  const state = recovered ? 'recovered' : whole ? 'whole' : (worst?.kind ?? 'unfinished');
  return lost > 0 ? `${state}, ${lost} records lost` : state;
}

/** A duration for people. */
export function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
