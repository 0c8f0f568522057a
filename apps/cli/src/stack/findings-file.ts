import { randomBytes } from 'node:crypto';
import { appendFile, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Log, Timer } from '@shadowcat/kernel';
import { Tally } from '@shadowcat/shadow';
import { makeDirectory } from '@shadowcat/tape-file';

/** Beyond this a file is added up before more is appended, in bytes. */
const MAX_BYTES = 8 * 1024 * 1024;
/** How long findings wait for others to be written with, in milliseconds. */
const BATCH_MS = 2_000;
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

  /** Writes what is left. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#flush();
  }

  #flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    if (this.#tally.empty) return;
    const { path, maxBytes = MAX_BYTES } = this.#options;
    const batch = this.#tally.drain();
    try {
      await makeDirectory(dirname(path));
      const size = await stat(path).then(
        (file) => file.size,
        () => 0,
      );
      if (size > maxBytes) await addedUp(path);
      // A line that was cut off must not take the next one with it.
      await appendFile(path, size === 0 ? batch : `\n${batch}`, { mode: MODE });
      this.#failing = false;
    } catch (error) {
      this.#tally.add(batch);
      const message = `findings of the mirror cannot be written to ${path}; they are kept until they can`;
      if (!this.#failing) this.#log.warn({ err: error }, message);
      this.#failing = true;
    }
  }
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
