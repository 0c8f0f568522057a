import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '@shadowcat/kernel';
import { onTestFinished } from 'vitest';
import { type FileOps, nodeFiles } from '../../src/file-ops.js';

export const HEAD = JSON.stringify({ k: 'head', v: 1, form: 'capture', requires: [] });

/** A directory of this test's own, removed after it. */
export async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'shadowcat-tape-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export interface Said {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
}

/** A log that keeps what it is told. */
export function keepingLog(): Log & { readonly said: Said[] } {
  const said: Said[] = [];
  const at = (level: Said['level']) => (_: object, message: string) => void said.push({ level, message });
  return { said, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** A record with a message, about `size` characters long. */
export function record(n: number, size = 0): string {
  return `{"k":"msg","t":1,"s":"-","x":"${n}","from":"server","m":{"jsonrpc":"2.0","method":"n","params":{"n":${n},"p":"${'x'.repeat(size)}"}}}`;
}

export const noSpace = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });

/** The file system without writes that the caller waits for. */
const { writeNow: _, ...background } = nodeFiles;
export const backgroundFiles: FileOps = background;

/** The file system, with writes that can be held and made to fail. */
export function troubledFiles(): FileOps & {
  writes: number[];
  fail: boolean;
  half: boolean;
  hold: Promise<void> | undefined;
} {
  const files = {
    ...backgroundFiles,
    writes: [] as number[],
    fail: false,
    half: false,
    hold: undefined as Promise<void> | undefined,
    async write(fd: number, bytes: Uint8Array, position: number) {
      await files.hold;
      if (files.half) await nodeFiles.write(fd, bytes.subarray(0, bytes.length / 2), position);
      if (files.fail || files.half) throw noSpace;
      files.writes.push(bytes.length);
      await nodeFiles.write(fd, bytes, position);
    },
  };
  return files;
}
