import { relative } from 'node:path';
import type { Tape } from '@shadowcat/tape';
import { printable } from '../printable.js';

/** A plain line for each place where records are missing on these tapes: what they are used for knows nothing of those. */
export function gapLines(tapes: readonly Tape[], cwd: string): string[] {
  return tapes.flatMap(({ name, problems }) =>
    problems
      .filter(({ kind }) => kind === 'gap')
      .map(({ line, message }) => printable(`shadowcat: ${relative(cwd, name)}:${line}: ${message}`)),
  );
}
