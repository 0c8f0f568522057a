import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Log, Timer } from '@shadowcat/kernel';
import { Tally } from '@shadowcat/shadow';
import { makeDirectory } from '@shadowcat/tape-file';

/** Beyond this a file is added up before more is appended, in bytes. */
const MAX_BYTES = 8 * 1024 * 1024;
/** How long findings wait for others to be written with, in milliseconds. */
const BATCH_MS = 2_000;
const NEWLINE = 0x0a;
/** Appends; a pipe that nobody reads is an error instead of a wait that nothing ends, not even a signal. */
const APPENDING = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NONBLOCK ?? 0);
/** Only for whoever runs the proxy: pointers may hold keys of the data. */
const MODE = 0o600;

export interface FindingsFileOptions {
  readonly path: string;
  /** Default 8 MiB. */
  readonly maxBytes?: number;
}

/**
 * Keeps findings in a file that several proxies may append to. Each batch is what came since the last one; adding up the lines
 * gives the whole. What cannot be written is kept for the next attempt.
 */
export class FindingsFile {
  readonly #options: FindingsFileOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #tally = new Tally();
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** Said once, until it works again. */
  #failing = false;
  /** How large the file was after it was last added up. */
  #least = 0;
  #closed = false;

  constructor(options: FindingsFileOptions, components: { readonly clock: Clock; readonly log: Log }) {
    this.#options = options;
    this.#clock = components.clock;
    this.#log = components.log;
  }

  /** Counts something; it is in the file soon. */
  count(into: (tally: Tally, at: number) => void): void {
    into(this.#tally, this.#clock.wall());
    if (this.#timer === undefined && !this.#closed) this.#timer = this.#clock.timer(BATCH_MS, () => void this.#flush());
  }

  /** Writes what is left, and says so when that is lost. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return this.#writing;
    this.#closed = true;
    await this.#flush();
    if (!this.#tally.empty)
      this.#log.warn({}, `findings of the mirror are lost: ${this.#options.path} took none of them`);
  }

  #flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    if (this.#tally.empty) return;
    const { path } = this.#options;
    const batch = Buffer.from(this.#tally.drain());
    let written = 0;
    try {
      await makeDirectory(dirname(path));
      await this.#makeRoom();
      await using file = await open(path, APPENDING, MODE);
      const { size } = await file.stat();
      // A line that was cut off must not take the next one with it.
      if (size > 0 || this.#failing) await file.write('\n');
      while (written < batch.length) written += (await file.write(batch, written)).bytesWritten;
      this.#failing = false;
    } catch (error) {
      this.#tally.add(unwritten(batch, written));
      const message = `findings of the mirror cannot be written to ${path}; they are kept until they can`;
      if (!this.#failing) this.#log.warn({ err: error }, message);
      this.#failing = true;
    }
  }

  /** Adds the file up when it has grown: not for less than as much again, however much there is to tell apart. */
  async #makeRoom(): Promise<void> {
    const { path, maxBytes = MAX_BYTES } = this.#options;
    const size = await sizeOf(path);
    if (size <= Math.max(maxBytes, 2 * this.#least)) return;
    await addedUp(path);
    this.#least = await sizeOf(path);
  }
}

/** The lines of a batch that are not in the file; of these, only whole ones count. */
function unwritten(batch: Buffer, written: number): string {
  if (written === 0) return batch.toString();
  const whole = batch[written] === NEWLINE ? written : batch.lastIndexOf(NEWLINE, written - 1) + 1;
  return batch.subarray(whole).toString();
}

async function sizeOf(path: string): Promise<number> {
  const file = await stat(path).catch(() => undefined);
  return file?.size ?? 0;
}

/** Replaces a file by one in which each finding is there once. */
async function addedUp(path: string): Promise<void> {
  const tally = new Tally();
  tally.add(await readFile(path, 'utf8'));
  const fresh = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await writeFile(fresh, tally.drain(), { mode: MODE });
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}
