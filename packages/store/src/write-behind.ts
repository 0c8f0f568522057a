import type { Clock, Log, Timer } from '@shadowcat/kernel';
import type { SessionRecord } from '@shadowcat/session';

/** What is to be done about one session; the last word counts. */
export type PendingWrite =
  | { readonly kind: 'put'; readonly record: SessionRecord }
  | { readonly kind: 'touch'; readonly at: number }
  | { readonly kind: 'remove' };

/** Writes by session id. */
export type WriteBatch = ReadonlyMap<string, PendingWrite>;

export interface WriteBehindComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** Writes all of a batch or nothing of it. */
  readonly write: (batch: WriteBatch) => Promise<void>;
}

/** From the first write that waits to the batch that carries it. Doubled while writing fails, up to the maximum. */
const DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;
/** More than this many sessions' writes are not kept while writing fails: the oldest are given up. */
const MAX_PENDING = 50_000;

/**
 * Collects writes, one per session, and hands them on in batches; a batch that fails is kept and tried again. One timer,
 * only while something waits.
 */
export class WriteBehind {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #write: (batch: WriteBatch) => Promise<void>;
  #pending = new Map<string, PendingWrite>();
  #writing: ReadonlyMap<string, PendingWrite> = new Map();
  #flushing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #delay = DELAY_MS;
  #closed = false;
  #failure: Error | undefined;

  constructor(components: WriteBehindComponents) {
    this.#clock = components.clock;
    this.#log = components.log;
    this.#write = components.write;
  }

  /** How many sessions have something unwritten. */
  get size(): number {
    return this.#pending.size + this.#writing.size;
  }

  /** Why the last batch failed; `undefined` when it did not. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** What is not written yet about this session. */
  peek(id: string): PendingWrite | undefined {
    const newer = this.#pending.get(id);
    const older = this.#writing.get(id);
    return newer === undefined || older === undefined ? (newer ?? older) : merged(older, newer);
  }

  /** Ignored once the store is closed. */
  add(id: string, write: PendingWrite): void {
    if (this.#closed) return;
    const older = this.#pending.get(id);
    this.#pending.set(id, older === undefined ? write : merged(older, write));
    if (this.#pending.size > MAX_PENDING) this.#giveUpOldest();
    this.#arm();
  }

  /** Resolves when all that waits is written; rejects with the reason when a batch failed. */
  flush(): Promise<void> {
    this.#flushing ??= this.#drain().finally(() => {
      this.#flushing = undefined;
      this.#arm();
    });
    return this.#flushing;
  }

  /** Takes no more writes and sets no more timers. What waits stays until the last flush. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  async #drain(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#pending.size > 0) {
      const batch = this.#pending;
      this.#writing = batch;
      this.#pending = new Map();
      try {
        await this.#write(batch);
        this.#succeeded();
      } catch (error) {
        this.#failed(batch, error);
        throw error;
      } finally {
        this.#writing = new Map();
      }
    }
  }

  #succeeded(): void {
    this.#delay = DELAY_MS;
    if (this.#failure === undefined) return;
    this.#failure = undefined;
    this.#log.info({}, 'the session store can be written again');
  }

  #failed(batch: WriteBatch, thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const newer = this.#pending;
    this.#pending = new Map(batch);
    for (const [id, write] of newer) {
      const older = this.#pending.get(id);
      this.#pending.set(id, older === undefined ? write : merged(older, write));
    }
    if (this.#failure === undefined) {
      this.#log.error({ err: error }, `${error.message} Traffic goes on; sessions live in memory meanwhile.`);
    }
    this.#failure = error;
    this.#delay = Math.min(this.#delay * 2, MAX_DELAY_MS);
  }

  #arm(): void {
    if (this.#closed || this.#timer !== undefined || this.#flushing !== undefined || this.#pending.size === 0) return;
    this.#timer = this.#clock.timer(this.#delay, () => {
      this.#timer = undefined;
      // The failure was logged, is in `failure`, and will be tried again.
      this.flush().catch(() => {});
    });
  }

  #giveUpOldest(): void {
    const [oldest] = this.#pending.keys();
    if (oldest !== undefined) this.#pending.delete(oldest);
  }
}

/** What remains of two writes about the same session, the newer one second. */
function merged(older: PendingWrite, newer: PendingWrite): PendingWrite {
  if (newer.kind !== 'touch') return newer;
  if (older.kind === 'put') return { kind: 'put', record: { ...older.record, touchedAt: newer.at } };
  return older.kind === 'remove' ? older : newer;
}
