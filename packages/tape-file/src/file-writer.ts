import type { Clock, Log, Timer } from '@shadowcat/kernel';
import { CHECKPOINT_EVERY, Seal, type TapeWriter, type WriterState } from '@shadowcat/tape';
import { newDigest } from './digest.js';
import { type FileOps, nodeFiles } from './file-ops.js';
import { LineQueue } from './line-queue.js';
import { PartFile, PartGone, type Runs } from './part-file.js';
import { TapeShelf } from './tape-shelf.js';
import { inTime, NoAnswer, Watchdog } from './watchdog.js';

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
  /** What the tapes of one recorder share. Default: its own. */
  readonly shelf?: TapeShelf;
  /** Whether the process runs that the head of another recording names. Default: none does. */
  readonly runs?: Runs | undefined;
}

/** While a tape cannot be written, it is tried again this often, in milliseconds. */
const RETRY_MS = 1000;
/** A file system that has not answered for so long is in trouble like one that refuses; callers wait for it no longer. Milliseconds. */
const PATIENCE_MS = 5000;
/** How long the end of a tape may take, in milliseconds: all of it may have to reach the disk. */
const FINISH_MS = 30_000;
const TOO_FAST = 'records came faster than they could be written';
const DEFAULT_QUEUE = 1_048_576;
/** What is never asked to wait (a child's stderr) is dropped beyond so many times the queue. */
const HARD_LIMIT = 16;
/** A batch of up to so many bytes is written before the event loop goes on. */
const PROMPT_BYTES = 65_536;
/**
 * A disk that kept the event loop waiting for longer than this twice in a row, or once for much longer, is written to in the
 * background, for so long. Milliseconds. Once may have been the scheduler, which gave the processor to somebody else.
 */
const SLOW_WRITE_MS = 20;
const VERY_SLOW_WRITE_MS = 200;
const SLOW_FOR_MS = 1000;

/** Lines that go out in one write. */
interface Batch {
  readonly bytes: Uint8Array;
  readonly lines: number;
  readonly records: number;
  /** Whether it begins with a checkpoint. */
  readonly restart: boolean;
}

/**
 * A tape being written to `<path>.part`, which becomes `path` when it is finished. The records of one turn are handed to the
 * operating system at its end, in one write that the event loop waits for: into the system's memory that takes
 * microseconds, a tenth of what it costs to wake a thread for it, and whoever is killed has lost nothing. A disk that takes
 * longer, and large batches, are written to in the background: one write is under way at most, what came meanwhile goes
 * with the next, and killed, it loses that. When writing fails, or nothing comes of it, it says so, keeps what fits into the queue,
 * drops the rest, lets nobody wait, and tries again. A file that somebody removed, replaced or cut is begun again. What is missing is marked by a `gap`.
 */
export function openTapeFile(path: string, options: TapeFileOptions, components: TapeFileComponents): TapeWriter {
  return new FileWriter(path, options, components);
}

class FileWriter implements TapeWriter {
  readonly name: string;
  readonly #part: PartFile;
  readonly #options: TapeFileOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #files: FileOps;
  readonly #shelf: TapeShelf;
  readonly #limit: number;
  readonly #queue = new LineQueue();
  #seal = new Seal(newDigest);
  #offset = 0;
  #appended = 0;
  #written = 0;
  /** Of the written: those in files that are gone. */
  #gone = 0;
  #lost = 0;
  /** What was lost before the present trouble. */
  #lostBefore = 0;
  #error: string | undefined;
  #retryAt: number | undefined;
  /** What is under way takes too long. */
  #stalled = false;
  readonly #watchdog: Watchdog;
  #slowWrites = 0;
  #slowUntil = Number.NEGATIVE_INFINITY;
  /** Somebody took the file: found out beside the writing, which has to begin again. */
  #taken: PartGone | undefined;
  #torn = false;
  #pumping: Promise<void> | undefined;
  #looking: Promise<void> | undefined;
  #scheduled = false;
  #timer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #finishing: Promise<void> | undefined;
  #finished = false;
  #roomy: (() => void)[] = [];
  #settled: (() => void)[] = [];

  constructor(path: string, options: TapeFileOptions, components: TapeFileComponents) {
    this.name = path;
    this.#options = options;
    this.#clock = components.clock;
    this.#log = components.log;
    this.#files = components.files ?? nodeFiles;
    this.#shelf = components.shelf ?? new TapeShelf(components.log);
    this.#part = new PartFile(path, options.fd, { files: this.#files, log: components.log, runs: components.runs });
    this.#limit = options.queue ?? DEFAULT_QUEUE;
    this.#watchdog = new Watchdog(this.#clock, PATIENCE_MS, () => this.#stalls());
    if (options.fd !== undefined) this.#shelf.opened(this);
    this.#schedule();
  }

  append(line: string): void {
    this.#appended += 1;
    if (this.#finishing !== undefined || this.#mustDrop(line)) {
      if (!this.#failing && this.#finishing === undefined) this.#error = TOO_FAST;
      this.#lost += 1;
      this.#queue.lose(1, this.#error ?? 'unknown');
      return;
    }
    this.#queue.add(line);
    if (this.#failing) this.#shelf.hold(this.#part.path, this.#queue.size);
    this.#schedule();
  }

  room(): Promise<void> | undefined {
    if (this.#options.onFull === 'drop' || this.#failing || this.#finishing !== undefined) return undefined;
    // A tape that is about to be opened has nothing of what passes yet.
    const unopened = this.#part.fd === undefined && this.#queue.length > 0;
    if (!unopened && this.#queue.size <= this.#limit) return undefined;
    return new Promise((resolve) => this.#roomy.push(resolve));
  }

  settled(): Promise<void> | undefined {
    const wanted = this.#appended;
    if (!this.#owes(wanted)) return undefined;
    const done = async (): Promise<void> => {
      while (this.#owes(wanted)) await new Promise<void>((resolve) => this.#settled.push(resolve));
    };
    return done();
  }

  state(): WriterState {
    return {
      status: this.#finished ? 'closed' : this.#failing ? 'failing' : 'ok',
      written: this.#written,
      bytes: this.#offset,
      lost: this.#lost,
      queued: this.#queue.records,
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  finish(): Promise<void> {
    this.#finishing ??= this.#finish();
    return this.#finishing;
  }

  /** Closes the file until there is something to write, unless that is now. */
  rest(): void {
    const busy = this.#pumping !== undefined || this.#scheduled || this.#finishing !== undefined;
    // Another file may get the descriptor that is being looked at.
    if (busy || this.#looking !== undefined || this.#part.fd === undefined) return;
    this.#shelf.closed(this);
    this.#background(this.#part.close().catch(() => undefined));
  }

  get #failing(): boolean {
    return this.#retryAt !== undefined || this.#stalled;
  }

  /** Whether some of the first `wanted` records are on their way to the tape. */
  #owes(wanted: number): boolean {
    const busy = this.#scheduled || this.#pumping !== undefined;
    return busy && !this.#failing && this.#written - this.#gone + this.#lost < wanted;
  }

  #mustDrop(line: string): boolean {
    const failing = this.#failing;
    const limit = failing || this.#options.onFull === 'drop' ? this.#limit : this.#limit * HARD_LIMIT;
    const fits = this.#queue.size + line.length <= limit;
    return !fits || (failing && this.#queue.size + line.length > this.#shelf.share(this.#part.path));
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
    if (this.#pumping !== undefined || this.#finished || this.#wroteNow()) return;
    if (this.#retryAt !== undefined && this.#clock.now() < this.#retryAt) return;
    this.#background(this.#drain());
  }

  #background(work: Promise<void>): void {
    this.#watchdog.start();
    this.#pumping = work.finally(() => {
      this.#pumping = undefined;
      this.#watchdog.stop();
      if (this.#stalled) this.#works();
      if (this.#queue.length > 0 && this.#retryAt === undefined) this.#schedule();
      else if (this.#shelf.crowded) this.rest();
      this.#makeRoom();
    });
  }

  /** Writes the queue before it returns. `false`: that is to be done in the background. */
  #wroteNow(): boolean {
    const started = this.#clock.now();
    const prompt = this.#options.durable !== true && this.#queue.size <= PROMPT_BYTES && started >= this.#slowUntil;
    const { fd } = this.#part;
    if (!prompt || fd === undefined || this.#files.writeNow === undefined) return false;
    if (this.#retryAt !== undefined || this.#taken !== undefined) return false;
    const batch = this.#nextBatch(this.#queue);
    if (batch === undefined) return true;
    try {
      if (!this.#files.writeNow(fd, batch.bytes, this.#offset)) return false;
    } catch {
      // The background tries the same again, and reports what keeps it from it.
      return false;
    }
    const now = this.#clock.now();
    this.#timed(now - started, now);
    this.#queue.clear();
    this.#wrote(batch, now);
    this.#makeRoom();
    return true;
  }

  /** A write that the event loop waited for took so long. */
  #timed(took: number, now: number): void {
    this.#slowWrites = took > SLOW_WRITE_MS ? this.#slowWrites + 1 : 0;
    if (this.#slowWrites > 1 || took > VERY_SLOW_WRITE_MS) this.#slowUntil = now + SLOW_FOR_MS;
  }

  async #drain(): Promise<void> {
    do {
      try {
        await this.#writeBatch();
        this.#works();
      } catch (error) {
        this.#fails(error);
      }
      this.#makeRoom();
      this.#watchdog.start();
    } while (this.#queue.length > 0 && this.#retryAt === undefined);
  }

  /** What waits, with what belongs before it. Changes nothing. */
  #nextBatch(queue: LineQueue): Batch | undefined {
    const restart = this.#offset > 0 && this.#seal.due(this.#clock.now());
    let before = this.#offset === 0 ? `${this.#options.head}\n` : '';
    if (restart) before += `${this.#seal.checkpoint()}\n`;
    if (queue.length === 0 && before === '') return undefined;
    const { text, lines, records } = queue.lines();
    const more = (this.#offset === 0 ? 1 : 0) + (restart ? 1 : 0);
    return { bytes: Buffer.from(before === '' ? text : before + text), lines: lines + more, records, restart };
  }

  /** Writes what waits. When that fails it still waits. */
  async #writeBatch(): Promise<void> {
    const fd = await this.#open();
    const queue = this.#queue.take();
    const batch = this.#nextBatch(queue);
    if (batch === undefined) return;
    try {
      await this.#write(fd, batch.bytes);
    } catch (error) {
      this.#queue.putBack(queue);
      throw error;
    }
    this.#wrote(batch, this.#clock.now());
  }

  /** The file, which is begun again when somebody took it. */
  async #open(): Promise<number> {
    try {
      if (this.#taken !== undefined) throw this.#taken;
      if (this.#part.fd !== undefined) return this.#part.fd;
      return await this.#opened();
    } catch (error) {
      if (!(error instanceof PartGone)) throw error;
      await this.#beginAgain(error);
      return this.#opened();
    }
  }

  async #opened(): Promise<number> {
    const fd = await this.#part.open(this.#offset);
    this.#shelf.opened(this);
    return fd;
  }

  async #beginAgain({ message }: PartGone): Promise<void> {
    const lost = this.#written - this.#gone;
    this.#log.error(
      { tape: this.#part.path, lost },
      `the tape ${this.#part.path} is gone: ${message}. It is begun again, without the ${lost} records that were on it`,
    );
    this.#taken = undefined;
    this.#error = message;
    this.#gone += lost;
    this.#lost += lost;
    if (lost > 0) this.#queue.loseBefore(lost, message);
    this.#offset = 0;
    this.#seal = new Seal(newDigest);
    await this.#part.forget();
  }

  async #write(fd: number, bytes: Uint8Array): Promise<void> {
    try {
      await this.#files.write(fd, bytes, this.#offset);
      if (this.#options.durable === true) await this.#files.sync(fd);
    } catch (error) {
      // Half a batch would be a torn line in the middle of the tape.
      this.#torn = await this.#files.truncate(fd, this.#offset).then(
        () => false,
        () => true,
      );
      throw error;
    }
  }

  #wrote(batch: Batch, now: number): void {
    if (batch.restart) this.#seal.restart();
    this.#seal.wrote(batch.bytes, batch.lines, now);
    this.#offset += batch.bytes.length;
    this.#written += batch.records;
    this.#armCheckpoint();
  }

  /** While there are lines without a checkpoint, one is due within a second. */
  #armCheckpoint(): void {
    if (this.#timer !== undefined || !this.#seal.open || this.#finishing !== undefined) return;
    // A little more, because timers may fire a little early.
    this.#timer = this.#clock.timer(CHECKPOINT_EVERY.ms + 5, () => {
      this.#timer = undefined;
      this.#look();
    });
  }

  /** Whether the file is still there: a descriptor can be written to long after somebody removed its file. */
  #look(): void {
    if (this.#looking !== undefined || this.#finishing !== undefined) return;
    this.#looking = this.#part
      .check(this.#offset)
      .catch((error: unknown) => {
        if (error instanceof PartGone) this.#taken = error;
      })
      .finally(() => {
        this.#looking = undefined;
        this.#schedule();
      });
  }

  #works(): void {
    this.#shelf.works(this.#part.path, this.#lost - this.#lostBefore);
    this.#retryAt = undefined;
    this.#stalled = false;
    this.#retryTimer?.cancel();
    this.#retryTimer = undefined;
  }

  /** What is under way has not come to an end. It goes on; what comes meanwhile is dealt with as if it had failed. */
  #stalls(): void {
    this.#troubled(new NoAnswer());
    this.#stalled = true;
    this.#makeRoom();
  }

  #troubled(error: unknown): void {
    if (!this.#failing) this.#lostBefore = this.#lost;
    this.#error = error instanceof Error ? error.message : String(error);
    const path = this.#part.path;
    this.#shelf.failed(path, error);
    this.#lost += this.#queue.shrink(Math.min(this.#limit, this.#shelf.share(path)), this.#error);
    this.#shelf.hold(path, this.#queue.size);
  }

  #fails(error: unknown): void {
    this.#troubled(error);
    this.#stalled = false;
    this.#retryAt = this.#clock.now() + RETRY_MS;
    if (this.#finishing !== undefined) return;
    this.#retryTimer?.cancel();
    this.#retryTimer = this.#clock.timer(RETRY_MS, () => {
      this.#retryTimer = undefined;
      // Timers may fire a little early.
      this.#retryAt = this.#clock.now();
      this.#schedule();
    });
  }

  #makeRoom(): void {
    const settled = this.#settled;
    this.#settled = [];
    for (const resolve of settled) resolve();
    if (this.#queue.size > this.#limit / 2 && !this.#failing && !this.#finished) return;
    const roomy = this.#roomy;
    this.#roomy = [];
    for (const resolve of roomy) resolve();
  }

  async #finish(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#retryTimer?.cancel();
    this.#retryTimer = undefined;
    try {
      await this.#idle();
      await this.#shelf.inTurn(() => inTime(this.#complete(), this.#clock, FINISH_MS));
    } catch (error) {
      this.#fails(error);
      this.#lost += this.#queue.shrink(0, 'unknown');
      const advice = this.#offset === 0 ? '' : ` (shadowcat tape recover ${this.#part.path})`;
      this.#log.error(
        { err: error, tape: this.#part.path, lost: this.#lost },
        `the tape ${this.#part.path} could not be finished: ${this.#error}${advice}`,
      );
      if (!(error instanceof NoAnswer)) await this.#part.close().catch(() => undefined);
    }
    this.#shelf.ended(this.#part.path, this);
    this.#finished = true;
    this.#makeRoom();
  }

  /** When nothing is under way. Rejects when that does not come to an end. */
  async #idle(): Promise<void> {
    while (this.#pumping !== undefined || this.#scheduled) {
      if (this.#stalled) throw new NoAnswer();
      const step = new Promise<void>((resolve) => this.#settled.push(resolve));
      await Promise.race([this.#pumping ?? Promise.resolve(), step]);
    }
  }

  async #complete(): Promise<void> {
    await this.#looking;
    for (let tries = 1; ; tries += 1) {
      try {
        if (this.#appended === 0 && (await this.#discarded())) return;
        while (this.#queue.length > 0 || this.#offset === 0) await this.#writeBatch();
        const fd = await this.#open();
        if (this.#offset === 0) continue;
        const end = Buffer.from(`${this.#seal.end(this.#lost)}\n`);
        if (this.#torn) await this.#files.truncate(fd, this.#offset);
        await this.#files.write(fd, end, this.#offset);
        await this.#files.sync(fd);
        await this.#part.finish(this.#offset + end.length);
        this.#offset += end.length;
        return;
      } catch (error) {
        if (!(error instanceof PartGone) || tries > 2) throw error;
        this.#taken = error;
      }
    }
  }

  /** A recording of nothing does not take the place of a tape. */
  async #discarded(): Promise<boolean> {
    if (this.#offset > 0) await this.#part.check(this.#offset);
    if (!(await this.#part.discard())) return false;
    this.#log.warn({ tape: this.name }, `nothing was recorded: ${this.name} stays as it was`);
    return true;
  }
}
