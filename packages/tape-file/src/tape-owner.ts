import { closeSync, constants, openSync, readSync } from 'node:fs';

/** No head is longer. */
const HEAD_BYTES = 4096;

/** The process that the head of a tape names as its writer; `undefined` when there is no such tape, or it names none. */
export function ownerOf(path: string): string | undefined {
  try {
    // A pipe that nobody writes to would not be open before somebody did.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const bytes = Buffer.alloc(HEAD_BYTES);
      const [line = ''] = bytes.toString('utf8', 0, readSync(fd, bytes, 0, HEAD_BYTES, 0)).split('\n', 1);
      const head: unknown = JSON.parse(line);
      const owner = typeof head === 'object' && head !== null && 'process' in head ? head.process : undefined;
      return typeof owner === 'string' ? owner : undefined;
    } finally {
      closeSync(fd);
    }
  } catch {
    // Not there, or no tape.
    return undefined;
  }
}

/** Says that a tape has a writer. `owner` begins with the process's number. */
export function beingWritten(part: string, owner: string): string {
  return `${part} is being recorded by process ${owner.split('-', 1)[0]}`;
}
