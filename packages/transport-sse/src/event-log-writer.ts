import type { Clock, Log, Timer } from '@shadowcat/kernel';
import type { EventStore, StoredEvent, StreamRecord } from '@shadowcat/session';
import type { KeptStream } from './resumption-stream.js';

export interface EventWriterComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: EventStore;
}

/** From the first change that waits to the batch that carries it. Doubled while writing fails, up to the maximum. */
const DELAY_MS = 100;
const MAX_DELAY_MS = 30_000;

/**
 * Writes kept streams behind, in batches. It holds no bytes of its own: what is to be written is what the streams keep at
 * that moment. A stream that its client got whole within the delay is never written.
 */
export class EventWriter {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #store: EventStore;
  readonly #changed = new Set<KeptStream>();
  readonly #removed = new Set<string>();
  #writing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #delay = DELAY_MS;
  #failing = false;
  #closed = false;

  constructor({ clock, log, store }: EventWriterComponents) {
    this.#clock = clock;
    this.#log = log;
    this.#store = store;
  }

  /** Whether a stream is about to be removed from the store. */
  forgets(id: string): boolean {
    return this.#removed.has(id);
  }

  changed(stream: KeptStream): void {
    this.#changed.add(stream);
    this.#arm();
  }

  /** The stream is not kept any more. */
  remove(stream: KeptStream): void {
    this.#changed.delete(stream);
    if (stream.stored) this.forget(stream.id);
  }

  forget(id: string): void {
    this.#removed.add(id);
    this.#arm();
  }

  /** Writes all that waits, once, and no more after that. Logs what could not be written. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#writing;
    await this.#write();
  }

  #arm(): void {
    if (this.#closed || this.#timer !== undefined || this.#writing !== undefined) return;
    this.#timer = this.#clock.timer(this.#delay, () => {
      this.#timer = undefined;
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
        if (this.#changed.size > 0 || this.#removed.size > 0) this.#arm();
      });
    });
  }

  async #write(): Promise<void> {
    const streams: StreamRecord[] = [];
    const events: StoredEvent[] = [];
    const written: { readonly stream: KeptStream; readonly to: number }[] = [];
    for (const stream of this.#changed) {
      if (stream.delivered) {
        if (stream.stored) this.#removed.add(stream.id);
        continue;
      }
      // Said before it is so: a stream that is removed meanwhile has to be removed there as well.
      stream.stored = true;
      streams.push(stream.record());
      events.push(...stream.unstored());
      written.push({ stream, to: stream.next });
    }
    const removed = [...this.#removed];
    this.#changed.clear();
    this.#removed.clear();
    if (streams.length === 0 && removed.length === 0) return;
    try {
      await this.#store.write({ streams, events, removed });
      for (const { stream, to } of written) stream.storedTo = Math.max(stream.storedTo, to);
      this.#delay = DELAY_MS;
      if (this.#failing) this.#log.info({}, 'events can be stored again');
      this.#failing = false;
    } catch (error) {
      for (const { stream } of written) if (!this.#removed.has(stream.id)) this.#changed.add(stream);
      for (const id of removed) this.#removed.add(id);
      if (!this.#failing) {
        this.#log.error({ err: error }, 'events could not be stored; streams can be resumed until the proxy ends');
      }
      this.#failing = true;
      this.#delay = Math.min(this.#delay * 2, MAX_DELAY_MS);
    }
  }
}
