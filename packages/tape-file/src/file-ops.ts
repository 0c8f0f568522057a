import { close, fdatasync, ftruncate, open, type PathLike, write, writeSync } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { makeDirectory } from './directories.js';

/** What a tape's writer asks of the file system. Its own interface, so that tests can make each step fail. */
export interface FileOps {
  /** Makes a file that must not exist, readable by its owner only, and the directories above it. */
  create(path: string): Promise<number>;
  /** Writes all of `bytes` at `position`. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<void>;
  /** The same before it returns; the caller waits. `false`, or an error: not all is written. Absent: not offered. */
  writeNow?(fd: number, bytes: Uint8Array, position: number): boolean;
  truncate(fd: number, length: number): Promise<void>;
  sync(fd: number): Promise<void>;
  close(fd: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  exists(path: string): Promise<boolean>;
}

const openFile = promisify(open) as (path: PathLike, flags: string, mode: number) => Promise<number>;

export const nodeFiles: FileOps = {
  async create(path) {
    await makeDirectory(dirname(path));
    return openFile(path, 'wx', 0o600);
  },
  write(fd, bytes, position) {
    return new Promise((resolve, reject) =>
      writeRest({ fd, bytes, position }, 0, (error) => (error ? reject(error) : resolve())),
    );
  },
  writeNow: (fd, bytes, position) => writeSync(fd, bytes, 0, bytes.length, position) === bytes.length,
  truncate: promisify(ftruncate),
  sync: promisify(fdatasync),
  close: promisify(close),
  rename,
  async exists(path) {
    try {
      await stat(path);
      return true;
    } catch {
      return false;
    }
  },
};

interface Piece {
  readonly fd: number;
  readonly bytes: Uint8Array;
  readonly position: number;
}

/** The system may take less than it was given, at a full disk for one. */
function writeRest(piece: Piece, done: number, settle: (error: Error | null) => void): void {
  const { fd, bytes, position } = piece;
  write(fd, bytes, done, bytes.length - done, position + done, (error, count) => {
    if (error !== null) settle(error);
    else if (done + count >= bytes.length) settle(null);
    else writeRest(piece, done + count, settle);
  });
}
