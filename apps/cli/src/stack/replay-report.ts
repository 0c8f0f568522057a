import type { ReplaySummary } from '@shadowcat/tape';

/** How many of each kind are listed in full. */
const LISTED = 20;

/** Tells a person how a replay went, a line for each thing that they may want to mend. */
export function tellSummary(summary: ReplaySummary, tell: (text: string) => void): void {
  const { served, misses, moreMisses, unused, waitingFor, reused, warnings } = summary;
  const missed = misses.length + moreMisses;
  tell(`replay: ${served} answered from the tape, ${missed} missed, ${unused.length} recorded and not asked for`);
  if (reused > 0) tell(`replay: all recorded sessions were in use; ${reused} clients got one again from its beginning`);
  list(
    misses.map(({ line, message }) => `miss: ${line === undefined ? '' : `${line}: `}${message}`),
    missed,
    tell,
  );
  list(
    waitingFor.map(({ method, line }) => `still waiting for the client: ${method} (${line})`),
    waitingFor.length,
    tell,
  );
  list(
    warnings.map((warning) => `note: ${warning}`),
    warnings.length,
    tell,
  );
  if (unused.length > 0) {
    const lines = unused.map(
      ({ method, target, line }) => `not asked for: ${method}${target === undefined ? '' : ` ${target}`} (${line})`,
    );
    list(lines, unused.length, tell);
  }
}

function list(lines: readonly string[], total: number, tell: (text: string) => void): void {
  for (const line of lines.slice(0, LISTED)) tell(`  ${line}`);
  if (total > LISTED) tell(`  and ${total - LISTED} more`);
}
