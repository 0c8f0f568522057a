import { close, fdatasync, fstat, ftruncate, open, type PathLike, read, stat, write, writeSync } from 'node:fs';
import { rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { makeDirectory } from './directories.js';

/** What a tape's writer asks of the file system. Its own interface, so that tests can make each step fail. */
export interface FileOps {
  /** Makes a file that must not exist, for its owner only to read and write, and the directories above it. */
  create(path: string): Promise<number>;
  /** Opens a file that is there to be read and written, and changes nothing about it. */
  reopen(path: string): Promise<number>;
  /** What is at a path, or what a descriptor stands for. `undefined`: nothing. */
  identify(file: string | number): Promise<FileIdentity | undefined>;
  /** Writes all of `bytes` at `position`. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<void>;
  /** The same before it returns; the caller waits. `false`, or an error: not all is written. Absent: not offered. */
  writeNow?(fd: number, bytes: Uint8Array, position: number): boolean;
  /** The byte at a position; `undefined` behind the end. */
  byteAt(fd: number, position: number): Promise<number | undefined>;
  truncate(fd: number, length: number): Promise<void>;
  sync(fd: number): Promise<void>;
  close(fd: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
}

export interface FileIdentity {
  /** The same for the same file, whatever it is called. */
  readonly id: string;
  /** In bytes. */
  readonly size: number;
}

const openFile = promisify(open) as (path: PathLike, flags: string, mode?: number) => Promise<number>;
/** File numbers can be greater than what a number of JavaScript's holds. */
const BIG = { bigint: true } as const;

export const nodeFiles: FileOps = {
  async create(path) {
    await makeDirectory(dirname(path));
    return openFile(path, 'wx+', 0o600);
  },
  reopen: (path) => openFile(path, 'r+'),
  identify(file) {
    return new Promise((resolve, reject) => {
      const settle = (error: NodeJS.ErrnoException | null, found: { dev: bigint; ino: bigint; size: bigint }): void => {
        if (error === null) resolve({ id: `${found.dev}:${found.ino}`, size: Number(found.size) });
        else if (error.code === 'ENOENT' || error.code === 'ENOTDIR') resolve(undefined);
        else reject(error);
      };
      if (typeof file === 'number') fstat(file, BIG, settle);
      else stat(file, BIG, settle);
    });
  },
  write(fd, bytes, position) {
    return new Promise((resolve, reject) =>
      writeRest({ fd, bytes, position }, 0, (error) => (error ? reject(error) : resolve())),
    );
  },
  writeNow: (fd, bytes, position) => writeSync(fd, bytes, 0, bytes.length, position) === bytes.length,
  byteAt(fd, position) {
    return new Promise((resolve, reject) =>
      read(fd, Buffer.alloc(1), 0, 1, position, (error, count, bytes) =>
        error === null ? resolve(count === 0 ? undefined : bytes[0]) : reject(error),
      ),
    );
  },
  truncate: promisify(ftruncate),
  sync: promisify(fdatasync),
  close: promisify(close),
  rename,
  remove: unlink,
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
