import { TAPE_VERSION } from './records.js';

/**
 * Makes a record of the next version of the format out of one of its own: `line` is the text of a line that holds one JSON
 * object. Applied before the record is parsed; digests are checked on what is in the file.
 */
export type Migration = (line: string) => string;

/**
 * How records of old versions become records of this one: the entry at `n` takes version `n + 1` to the next. Entries are
 * never changed or removed once released; a tape that was committed stays readable.
 */
export const MIGRATIONS: readonly Migration[] = [];

/** What makes a record of this version out of one of `version`; `undefined` where there is nothing to do. */
export function migrationFrom(
  version: number,
  chain: readonly Migration[] = MIGRATIONS,
  newest = TAPE_VERSION,
): Migration | undefined {
  const steps = chain.slice(version - 1, newest - 1);
  if (steps.length === 0) return undefined;
  return (line) => steps.reduce((text, migrate) => migrate(text), line);
}
