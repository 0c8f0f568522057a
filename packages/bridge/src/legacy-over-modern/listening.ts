import { type Clock, type Log, ProxyError, type Reply, type Timer } from '@shadowcat/kernel';
import { type JsonObject, META_SUBSCRIPTION, type Message, objectAt, readMessage } from '@shadowcat/wire';
import { untagged } from './legacy-answer.js';

export interface ListeningParts {
  /** Opens `subscriptions/listen` for a filter, given as JSON. */
  readonly open: (filterText: string, signal: AbortSignal) => Promise<Reply>;
  /** A notification for the client. */
  readonly push: (text: string) => void;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 to 1. */
  readonly random: () => number;
}

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
/** How long a server may take to acknowledge. */
const ACK_MS = 10_000;
/** A stream that was replaced is read for so long, because what it brought may not have arrived yet. */
const OVERLAP_MS = 1000;
/** Different messages that wait in such a time. */
const MAX_LATE = 1000;
/** A stream that lasted this long was no failure. */
const STEADY_MS = 30_000;
/** The largest answer that is no stream. */
const MAX_REFUSAL = 1024 * 1024;

/** One `subscriptions/listen` request. */
interface Attempt {
  readonly abort: AbortController;
  readonly acknowledged: PromiseWithResolvers<void>;
  readonly startedAt: number;
  /** What it brought while its predecessor was still read. */
  readonly overlap: Set<string>;
  /** What it brought after another one had taken its place. */
  late: Set<string> | undefined;
  /** Nothing will come on it: there is no reason to open it again. */
  idle: boolean;
  over: boolean;
}

/**
 * The changes that a server announces, for one client: one `subscriptions/listen` stream at a time (2026-07-28), opened again
 * when it breaks. Another filter opens another stream, and the old one is closed when the new one was acknowledged.
 */
export class Listening {
  readonly #parts: ListeningParts;
  #current: Attempt | undefined;
  /** The one whose predecessor is still read. */
  #overlapping: Attempt | undefined;
  readonly #attempts = new Set<Attempt>();
  #filter: string | undefined;
  #timers = new Set<Timer>();
  #failures = 0;
  #closed = false;
  #changes: Promise<void> = Promise.resolve();
  readonly #running = new Set<Promise<void>>();

  constructor(parts: ListeningParts) {
    this.#parts = parts;
  }

  /**
   * From now on what `filterText` names (`undefined`: nothing). Resolves when the server has acknowledged that; rejects when it
   * has not, and then what was listened to before still is.
   */
  change(filterText: string | undefined): Promise<void> {
    const change = this.#changes.then(() => this.#change(filterText));
    this.#changes = change.catch(() => {});
    return change;
  }

  /** For a stream that is wanted whether it can be had at once or not: tried again until it can. */
  async keep(filterText: string | undefined): Promise<void> {
    try {
      await this.change(filterText);
    } catch (error) {
      if (this.#closed) return;
      this.#filter = filterText;
      this.#retry(error);
    }
  }

  /** Ends it. Resolves when nothing of it is left; never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    for (const attempt of this.#attempts) this.#stop(attempt);
    this.#current = undefined;
    await Promise.all(this.#running);
  }

  async #change(filterText: string | undefined): Promise<void> {
    if (this.#closed) throw gone();
    if (filterText === this.#filter && this.#current?.over === false) return;
    const old = this.#current;
    if (filterText === undefined) {
      this.#filter = undefined;
      this.#current = undefined;
      this.#stop(old);
      return;
    }
    const attempt = this.#start(filterText);
    const timer = this.#after(ACK_MS, () => {
      attempt.acknowledged.reject(
        new ProxyError('upstream_timeout', 'the server did not acknowledge the subscription'),
      );
    });
    try {
      await attempt.acknowledged.promise;
    } catch (error) {
      this.#stop(attempt);
      throw error;
    } finally {
      this.#cancel(timer);
    }
    if (this.#closed) throw gone();
    this.#filter = filterText;
    this.#current = attempt;
    if (attempt.over) this.#ended(attempt, undefined);
    if (old === undefined || old.over) return;
    this.#overlap(old, attempt);
  }

  /**
   * For a while both bring what is announced. What comes late on the old one waits: the new one most likely brings it too, and
   * what it does not bring was on its way before.
   */
  #overlap(old: Attempt, fresh: Attempt): void {
    const late = new Set<string>();
    old.late = late;
    fresh.overlap.clear();
    this.#overlapping = fresh;
    this.#after(OVERLAP_MS, () => {
      for (const text of late) if (!fresh.overlap.has(text)) this.#parts.push(text);
      if (this.#overlapping === fresh) this.#overlapping = undefined;
      fresh.overlap.clear();
      this.#stop(old);
    });
  }

  #start(filterText: string): Attempt {
    const attempt: Attempt = {
      abort: new AbortController(),
      acknowledged: Promise.withResolvers(),
      startedAt: this.#parts.clock.now(),
      overlap: new Set(),
      late: undefined,
      idle: false,
      over: false,
    };
    attempt.acknowledged.promise.catch(() => {});
    this.#attempts.add(attempt);
    const run = this.#run(attempt, filterText).finally(() => {
      this.#attempts.delete(attempt);
      this.#running.delete(run);
    });
    this.#running.add(run);
    return attempt;
  }

  async #run(attempt: Attempt, filterText: string): Promise<void> {
    let failure: unknown = new ProxyError('upstream_closed', 'the server ended the subscription');
    try {
      failure = (await this.#read(attempt, filterText)) ?? failure;
    } catch (thrown) {
      failure = thrown;
    }
    attempt.over = true;
    attempt.acknowledged.reject(failure);
    if (attempt === this.#current) this.#ended(attempt, failure);
  }

  /** Reads the stream to its end. Resolves with why there was none. */
  async #read(attempt: Attempt, filterText: string): Promise<ProxyError | undefined> {
    const { signal } = attempt.abort;
    await using reply = await this.#parts.open(filterText, signal);
    const stop = (): void => void reply[Symbol.asyncDispose]();
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (signal.aborted) return gone();
      if (reply.body.framing.name !== 'sse') {
        const message = readMessage(new TextDecoder().decode(await reply.body.collect(MAX_REFUSAL)));
        return refused(message, reply.head.status);
      }
      for await (const { text } of reply.body.frames()) {
        if (signal.aborted) return gone();
        const message = text === undefined ? undefined : readMessage(text);
        if (message?.kind === 'notification') this.#heard(attempt, message);
        else if (message?.kind === 'response')
          return message.value['error'] === undefined ? undefined : refused(message);
      }
      return undefined;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  #heard(attempt: Attempt, message: Message): void {
    if (message.method === 'notifications/subscriptions/acknowledged') {
      const honoured = objectAt(objectAt(message.value, 'params'), 'notifications');
      attempt.idle = honoured !== undefined && Object.keys(honoured).length === 0;
      attempt.acknowledged.resolve();
      return;
    }
    const text = untagged(message, META_SUBSCRIPTION);
    if (attempt.late !== undefined) {
      if (attempt.late.size < MAX_LATE) attempt.late.add(text);
      return;
    }
    if (attempt === this.#overlapping && attempt.overlap.size < MAX_LATE) attempt.overlap.add(text);
    this.#parts.push(text);
  }

  /** The stream that was listened to is over. */
  #ended(attempt: Attempt, failure: unknown): void {
    if (this.#closed || attempt.idle) return;
    if (this.#parts.clock.now() - attempt.startedAt >= STEADY_MS) this.#failures = 0;
    this.#retry(failure);
  }

  #retry(failure: unknown): void {
    const filter = this.#filter;
    if (this.#closed || filter === undefined) return;
    if (failure instanceof Refusal) {
      this.#parts.log.warn({ err: failure }, 'the server announces no changes: clients will not hear of any');
      return;
    }
    const ceiling = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures = Math.min(this.#failures + 1, 16);
    const pause = FIRST_PAUSE_MS + this.#parts.random() * (ceiling - FIRST_PAUSE_MS);
    this.#parts.log.debug({ err: failure, pause: Math.round(pause) }, 'a subscription ended and will be opened again');
    this.#after(pause, () => {
      const again = this.#changes.then(async () => {
        if (this.#closed || this.#filter === undefined || this.#current?.over === false) return;
        try {
          await this.#change(this.#filter);
        } catch (error) {
          this.#retry(error);
        }
      });
      this.#changes = again;
    });
  }

  #stop(attempt: Attempt | undefined): void {
    if (attempt === undefined) return;
    attempt.acknowledged.reject(gone());
    attempt.abort.abort(gone());
  }

  #after(ms: number, fire: () => void): Timer {
    const timer = this.#parts.clock.timer(ms, () => {
      this.#timers.delete(timer);
      fire();
    });
    this.#timers.add(timer);
    return timer;
  }

  #cancel(timer: Timer): void {
    timer.cancel();
    this.#timers.delete(timer);
  }
}

/** The server does not do this, and will not the next time. */
class Refusal extends ProxyError {}

function refused(message: Message | undefined, status = 200): ProxyError {
  const error = objectAt(message?.value, 'error');
  const said = error?.['message'];
  const text = `the server refused the subscription: ${typeof said === 'string' ? said : `HTTP ${status}`}`;
  const lasting = FINAL.has(Number(error?.['code'])) || status === 404 || status === 405;
  return lasting ? new Refusal('upstream_protocol', text) : new ProxyError('upstream_protocol', text);
}

const FINAL: ReadonlySet<number> = new Set([-32601, -32602]);

function gone(): ProxyError {
  return new ProxyError('cancelled', 'nobody listens any more');
}

/**
 * What a client can hear of, as a filter for `subscriptions/listen`; `undefined`: nothing. `capabilities`: the server's, as far
 * as they are known.
 */
export function filterOf(capabilities: JsonObject | undefined, subscriptions: Iterable<string>): string | undefined {
  const offers = (list: string): boolean =>
    capabilities === undefined || objectAt(capabilities, list)?.['listChanged'] === true;
  const uris = [...subscriptions];
  const filter = {
    ...(offers('tools') ? { toolsListChanged: true } : {}),
    ...(offers('prompts') ? { promptsListChanged: true } : {}),
    ...(offers('resources') ? { resourcesListChanged: true } : {}),
    ...(uris.length > 0 ? { resourceSubscriptions: uris } : {}),
  };
  return Object.keys(filter).length === 0 ? undefined : JSON.stringify(filter);
}
