import { ProxyError } from '@shadowcat/kernel';

/** What a person can do about a failure, by SQLite's or the system's error code (SQLite's extended codes by their stem). */
const ADVICE: readonly (readonly [code: string, what: string, remedy: string])[] = [
  ['SQLITE_NOTADB', 'it is no SQLite database', 'move the file away or name another with --store'],
  ['SQLITE_CORRUPT', 'it is damaged', 'move the file away (its sessions are lost) or name another with --store'],
  ['SQLITE_BUSY', 'another process keeps it locked', 'end that process or name another file with --store'],
  ['SQLITE_LOCKED', 'another process keeps it locked', 'end that process or name another file with --store'],
  ['SQLITE_READONLY', 'it cannot be written', 'make the file and its folder writable or name another with --store'],
  ['SQLITE_PERM', 'it cannot be written', 'make the file and its folder writable or name another with --store'],
  ['SQLITE_FULL', 'the disk is full', 'make room or name a file on another disk with --store'],
  ['SQLITE_IOERR', 'the disk reports an error', 'check the disk and its free space, or use --store memory:'],
  ['SQLITE_CANTOPEN', 'it cannot be opened', 'make the file and its folder writable or name another with --store'],
  ['EACCES', 'permission is denied', 'make the file and its folder writable or name another with --store'],
  ['EPERM', 'permission is denied', 'make the file and its folder writable or name another with --store'],
  ['EROFS', 'the file system is read-only', 'name a file elsewhere with --store, or use --store memory:'],
  ['ENOSPC', 'the disk is full', 'make room or name a file on another disk with --store'],
  ['ENOENT', 'its folder cannot be made there', 'name a file elsewhere with --store'],
  ['EISDIR', 'it is a folder', 'name a file in it with --store'],
  ['ENOTDIR', 'a part of its path is no folder', 'name another file with --store'],
  ['EEXIST', 'a part of its path is no folder', 'name another file with --store'],
];

/** Any failure of the database in `path` as one plain line: what, where, what to do. */
export function storeProblem(thrown: unknown, path: string): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  const code = codeOf(thrown);
  const entry = ADVICE.find(([stem]) => code.startsWith(stem));
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const text =
    entry === undefined
      ? `The session store ${path} cannot be used: ${reason}. Name another with --store, or use --store memory:.`
      : `The session store ${path} cannot be used: ${entry[1]} (${code}); ${entry[2]}.`;
  return new ProxyError('store_failed', text, { cause: thrown });
}

/** A file that is a proper database, but not one for this version of the program. */
export function foreignStore(path: string, what: string): ProxyError {
  return new ProxyError('store_failed', `The session store ${path} cannot be used: ${what}.`);
}

function codeOf(thrown: unknown): string {
  const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : '';
}
