import type { Clock, Log, Timer } from '@shadowcat/kernel';
import { CHECKPOINT_EVERY, Seal, type TapeWriter, type WriterState } from '@shadowcat/tape';
import { newDigest } from './digest.js';
import { type FileOps, nodeFiles } from './file-ops.js';

export interface TapeFileOptions {
  /** The first line. */
  readonly head: string;
  /** The `.part` file, if the caller has made it already; the writer closes it. */
  readonly fd?: number;
  /** How many characters of records may wait before callers are asked to. Default 1 MiB. */
  readonly queue?: number;
  /** At a full queue: let callers wait (default), or drop records and leave a `gap` record. */
  readonly onFull?: 'wait' | 'drop';
  /** `fdatasync` after each write. Default: the operating system decides when bytes reach the disk. */
  readonly durable?: boolean;
}

export interface TapeFileComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** Default: `node:fs`. */
  readonly files?: FileOps;
}

/** While a tape cannot be written, it is tried again this often, in milliseconds. */
const RETRY_MS = 1000;
const DEFAULT_QUEUE = 1_048_576;
/** What is never asked to wait (a child's stderr) is dropped beyond so many times the queue. */
const HARD_LIMIT = 16;
/** A batch of up to so many bytes is written before the event loop goes on. */
const PROMPT_BYTES = 65_536;
/** A disk that kept the event loop waiting for longer than this is written to in the background, for so long. Milliseconds. */
const SLOW_WRITE_MS = 20;
const SLOW_FOR_MS = 1000;

/** Lines that go out in one write. */
interface Batch {
  readonly bytes: Uint8Array;
  readonly lines: number;
  readonly records: number;
  /** Lost records that a `gap` in it tells of. */
  readonly missing: number;
  /** Whether it begins with a checkpoint. */
  readonly restart: boolean;
}

/**
 * A tape being written to `<path>.part`, which becomes `path` when it is finished. The records of one turn are handed to the
 * operating system at its end, in one write that the event loop waits for: into the system's memory that takes
 * microseconds, a tenth of what it costs to wake a thread for it, and whoever is killed has lost nothing. A disk that takes
 * longer, and large batches, are written to in the background: one write is under way at most, what came meanwhile goes
 * with the next, and killed, it loses that. When writing fails it drops what comes, says so, and tries again; what is
 * missing is marked by a `gap`.
 */
export function openTapeFile(path: string, options: TapeFileOptions, components: TapeFileComponents): TapeWriter {
  return new FileWriter(path, options, components);
}

class FileWriter implements TapeWriter {
  readonly name: string;
  readonly #part: string;
  readonly #options: TapeFileOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #files: FileOps;
  readonly #seal = new Seal(newDigest);
  readonly #limit: number;
  #queue: string[] = [];
  #queueSize = 0;
  #fd: number | undefined;
  #offset = 0;
  #written = 0;
  #lost = 0;
  /** Records lost since the last `gap` record. */
  #missing = 0;
  #error: string | undefined;
  #retryAt: number | undefined;
  #slowUntil = Number.NEGATIVE_INFINITY;
  #pumping: Promise<void> | undefined;
  #scheduled = false;
  #timer: Timer | undefined;
  #finishing: Promise<void> | undefined;
  #finished = false;
  #roomy: (() => void)[] = [];

  constructor(path: string, options: TapeFileOptions, components: TapeFileComponents) {
    this.name = path;
    this.#part = `${path}.part`;
    this.#options = options;
    this.#clock = components.clock;
    this.#log = components.log;
    this.#files = components.files ?? nodeFiles;
    this.#limit = options.queue ?? DEFAULT_QUEUE;
    this.#fd = options.fd;
    this.#schedule();
  }

  append(line: string): void {
    if (this.#finishing !== undefined || this.#mustDrop(line)) {
      this.#lose(1);
      return;
    }
    this.#queue.push(line);
    this.#queueSize += line.length;
    this.#schedule();
  }

  room(): Promise<void> | undefined {
    const waits = this.#options.onFull !== 'drop' && this.#queueSize > this.#limit && this.#retryAt === undefined;
    if (!waits || this.#finishing !== undefined) return undefined;
    return new Promise((resolve) => this.#roomy.push(resolve));
  }

  state(): WriterState {
    return {
      status: this.#finished ? 'closed' : this.#retryAt === undefined ? 'ok' : 'failing',
      written: this.#written,
      bytes: this.#offset,
      lost: this.#lost,
      queued: this.#queue.length,
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  finish(): Promise<void> {
    this.#finishing ??= this.#finish();
    return this.#finishing;
  }

  #mustDrop(line: string): boolean {
    if (this.#retryAt !== undefined && this.#clock.now() < this.#retryAt) return true;
    const limit = this.#options.onFull === 'drop' ? this.#limit : this.#limit * HARD_LIMIT;
    if (this.#queueSize + line.length <= limit) return false;
    this.#error ??= 'records came faster than they could be written';
    return true;
  }

  #lose(count: number): void {
    this.#lost += count;
    this.#missing += count;
  }

  /** Records made in one turn go out in one write. */
  #schedule(): void {
    if (this.#scheduled || this.#pumping !== undefined) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#pumping !== undefined || this.#wroteNow()) return;
    this.#pumping = this.#drain().finally(() => {
      this.#pumping = undefined;
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  /** Writes the queue before it returns. `false`: that is to be done in the background. */
  #wroteNow(): boolean {
    const started = this.#clock.now();
    const prompt = this.#options.durable !== true && this.#queueSize <= PROMPT_BYTES && started >= this.#slowUntil;
    if (!prompt || this.#fd === undefined || this.#files.writeNow === undefined || this.#retryAt !== undefined)
      return false;
    const batch = this.#nextBatch();
    if (batch === undefined) return true;
    try {
      if (!this.#files.writeNow(this.#fd, batch.bytes, this.#offset)) return false;
    } catch {
      // The background tries the same again, and reports what keeps it from it.
      return false;
    }
    const now = this.#clock.now();
    if (now - started > SLOW_WRITE_MS) this.#slowUntil = now + SLOW_FOR_MS;
    this.#clearQueue();
    this.#wrote(batch, now);
    this.#makeRoom();
    return true;
  }

  async #drain(): Promise<void> {
    do await this.#writeBatch();
    while (this.#queue.length > 0);
  }

  /** The queue as it is, with what belongs before it. Changes nothing. */
  #nextBatch(): Batch | undefined {
    const records = this.#queue.length;
    const missing = this.#missing;
    const restart = this.#offset > 0 && this.#seal.due(this.#clock.now());
    let before = this.#offset === 0 ? `${this.#options.head}\n` : '';
    if (restart) before += `${this.#seal.checkpoint()}\n`;
    if (missing > 0) before += `{"k":"gap","lost":${missing},"why":${JSON.stringify(this.#error ?? 'unknown')}}\n`;
    if (records === 0 && before === '') return undefined;
    const lines = records + (this.#offset === 0 ? 1 : 0) + (restart ? 1 : 0) + (missing > 0 ? 1 : 0);
    const text = records === 0 ? before : `${before}${this.#queue.join('\n')}\n`;
    return { bytes: Buffer.from(text), lines, records, missing, restart };
  }

  #clearQueue(): void {
    this.#queue = [];
    this.#queueSize = 0;
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#nextBatch();
    if (batch === undefined) return;
    this.#clearQueue();
    try {
      await this.#write(batch.bytes);
      this.#wrote(batch, this.#clock.now());
      this.#works();
    } catch (error) {
      this.#lose(batch.records);
      this.#fails(error);
    }
    this.#makeRoom();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#fd ??= await this.#open();
    const fd = this.#fd;
    try {
      await this.#files.write(fd, bytes, this.#offset);
      if (this.#options.durable === true) await this.#files.sync(fd);
    } catch (error) {
      // Half a batch would be a torn line in the middle of the tape.
      await this.#files.truncate(fd, this.#offset).catch(() => undefined);
      throw error;
    }
  }

  #wrote(batch: Batch, now: number): void {
    if (batch.restart) this.#seal.restart();
    this.#seal.wrote(batch.bytes, batch.lines, now);
    this.#offset += batch.bytes.length;
    this.#written += batch.records;
    this.#missing -= batch.missing;
    this.#armCheckpoint();
  }

  /** What an earlier recording left here is kept under another name. */
  async #open(): Promise<number> {
    try {
      return await this.#files.create(this.#part);
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    }
    let kept = `${this.#part}.1`;
    for (let number = 2; await this.#files.exists(kept); number += 1) kept = `${this.#part}.${number}`;
    await this.#files.rename(this.#part, kept);
    this.#log.warn(
      { tape: kept },
      `an earlier recording was cut short; it is kept as ${kept} (shadowcat tape recover ${kept})`,
    );
    return this.#files.create(this.#part);
  }

  /** While there are lines without a checkpoint, one is due within a second. */
  #armCheckpoint(): void {
    if (this.#timer !== undefined || !this.#seal.open || this.#finishing !== undefined) return;
    // A little more, because timers may fire a little early.
    this.#timer = this.#clock.timer(CHECKPOINT_EVERY.ms + 5, () => {
      this.#timer = undefined;
      this.#schedule();
    });
  }

  #works(): void {
    if (this.#retryAt === undefined) return;
    this.#retryAt = undefined;
    this.#log.info(
      { tape: this.#part, lost: this.#lost },
      `the tape ${this.#part} can be written again; ${this.#lost} records are lost`,
    );
  }

  #fails(error: unknown): void {
    this.#error = error instanceof Error ? error.message : String(error);
    if (this.#retryAt === undefined) {
      this.#log.error(
        { err: error, tape: this.#part },
        `cannot write the tape ${this.#part}: ${this.#error}. Traffic goes on unrecorded; writing is tried again each second`,
      );
    }
    this.#retryAt = this.#clock.now() + RETRY_MS;
  }

  #makeRoom(): void {
    if (this.#queueSize > this.#limit / 2 && this.#retryAt === undefined) return;
    const roomy = this.#roomy;
    this.#roomy = [];
    for (const resolve of roomy) resolve();
  }

  async #finish(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#pumping !== undefined || this.#scheduled) await (this.#pumping ?? Promise.resolve());
    try {
      if (this.#missing > 0 || this.#offset === 0) await this.#writeBatch();
      if (this.#offset === 0) throw new Error(this.#error ?? 'nothing could be written');
      const end = Buffer.from(`${this.#seal.end(this.#lost)}\n`);
      this.#fd ??= await this.#open();
      await this.#files.write(this.#fd, end, this.#offset);
      this.#offset += end.length;
      await this.#files.sync(this.#fd);
      await this.#files.close(this.#fd);
      this.#fd = undefined;
      await this.#files.rename(this.#part, this.name);
    } catch (error) {
      this.#fails(error);
      this.#log.error({ err: error, tape: this.#part }, `the tape ${this.#part} could not be finished: ${this.#error}`);
      if (this.#fd !== undefined) await this.#files.close(this.#fd).catch(() => undefined);
      this.#fd = undefined;
    }
    this.#finished = true;
    this.#makeRoom();
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
