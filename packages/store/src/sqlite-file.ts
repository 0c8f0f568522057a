import { chmodSync, closeSync, existsSync, fstatSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** How long opening waits for a lock that another process holds. */
const OPEN_TIMEOUT_MS = 1_000;
/** How long a query does: it waits on the event loop, and what could not be written is tried again. */
const BUSY_TIMEOUT_MS = 100;

/** What this package uses of better-sqlite3's `Database`. */
export interface Database {
  close(): unknown;
  exec(sql: string): unknown;
  pragma(source: string, options?: { simple?: boolean }): unknown;
  prepare(sql: string): Statement;
}
interface Statement {
  readonly reader: boolean;
  all(parameters: readonly unknown[]): unknown[];
  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  iterate(parameters: readonly unknown[]): IterableIterator<unknown>;
}

/**
 * Opens the database file, made when it is not there, with its folder. Only its owner may read it (0600), because what it
 * holds lets one speak as a session's client. Throws what the system or SQLite threw.
 */
export async function openDatabase(path: string): Promise<Database> {
  makeFolder(dirname(path));
  makePrivate(path);
  // Loaded here, so that a proxy that keeps its sessions in memory does not need the native module.
  const { default: Sqlite } = await import('better-sqlite3');
  const database = new Sqlite(path, { timeout: OPEN_TIMEOUT_MS });
  try {
    database.pragma('journal_mode = WAL');
    // In WAL safe against the end of the process, not against the loss of power: a session is not worth an fsync.
    database.pragma('synchronous = NORMAL');
    const damage = database.pragma('quick_check(1)', { simple: true });
    if (damage !== 'ok') throw Object.assign(new Error(String(damage)), { code: 'SQLITE_CORRUPT' });
    database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Tells whether the file that was opened is still the one that its path leads to. */
export function fileWatch(path: string): () => boolean {
  const { ino } = statSync(path);
  return () => statSync(path, { throwIfNoEntry: false })?.ino === ino;
}

/** One by one: with `recursive`, `mkdir` never returns where the system answers `ENOENT` for good, as in `/proc`. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function makePrivate(path: string): void {
  const file = openSync(path, 'a', 0o600);
  try {
    if ((fstatSync(file).mode & 0o077) !== 0) chmodSync(path, 0o600);
  } finally {
    closeSync(file);
  }
}
