import { type Clock, type Log, ProxyError } from '@shadowcat/kernel';
import { Alarm } from './alarm.js';
import { Backoff } from './backoff.js';
import type { BackoffOptions } from './types.js';

export interface SparesOptions {
  /** How many are kept ready. 0: none, every take opens. */
  readonly count: number;
  /** How those that fail hold the next one back. */
  readonly backoff?: Partial<BackoffOptions>;
}

export interface SparesComponents<R> {
  /** Opens one for nobody in particular. Must settle soon after `signal` fires; what it opened by then is closed. */
  open(signal: AbortSignal): Promise<R>;
  /** Closes one that nobody took. May not reject. */
  close(resource: R, reason: ProxyError): Promise<void>;
  /** Calls `gone` when one died by itself. */
  watch(resource: R, gone: (reason: ProxyError) => void): void;
  /** How many more may be opened at the moment, these spares and those under way counted already. */
  room(): number;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 <= n < 1; spreads the pauses by a fifth. Default `Math.random`. */
  readonly random?: () => number;
}

/** Resources that are opened before anybody asks. `Symbol.asyncDispose` closes those that nobody took. */
export interface Spares<R> extends AsyncDisposable {
  /** A spare, or one that is being opened, or a new one when there is none. Its taker owns it from then on. */
  take(signal: AbortSignal): Promise<R>;
  /** Opens what is missing, as far as there is room. To be called when room may have become free. */
  refill(): void;
  /** Ready, and being opened without a taker. Together they count as open wherever openings are bounded. */
  readonly ready: number;
  readonly opening: number;
  /** Why spares fail at the moment, again and again or just once. */
  readonly trouble: ProxyError | undefined;
}

/** Makes spares; the first are opened by the first {@link Spares.refill}. */
export function createSpares<R>(options: SparesOptions, components: SparesComponents<R>): Spares<R> {
  return new SpareShelf(options, components);
}

interface Spare<R> {
  readonly resource: R;
  readonly openedAt: number;
}

class SpareShelf<R> implements Spares<R> {
  readonly #options: SparesOptions;
  readonly #components: SparesComponents<R>;
  readonly #ready = new Set<Spare<R>>();
  /** Openings that no taker waits for yet. */
  readonly #openings = new Set<Promise<R>>();
  /** What has to be over before this is closed. */
  readonly #work = new Set<Promise<void>>();
  readonly #backoff: Backoff<never>;
  readonly #wake: Alarm<SpareShelf<R>>;
  readonly #ending = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(options: SparesOptions, components: SparesComponents<R>) {
    this.#options = options;
    this.#components = components;
    this.#backoff = new Backoff(options.backoff, components);
    this.#wake = new Alarm<SpareShelf<R>>(components.clock, this, refillOf);
  }

  get ready(): number {
    return this.#ready.size;
  }
  get opening(): number {
    return this.#openings.size;
  }
  get trouble(): ProxyError | undefined {
    return this.#ready.size < this.#options.count ? this.#backoff.trouble : undefined;
  }

  take(signal: AbortSignal): Promise<R> {
    for (const spare of this.#ready) {
      this.#ready.delete(spare);
      this.refill();
      return Promise.resolve(spare.resource);
    }
    for (const opening of this.#openings) {
      this.#openings.delete(opening);
      return opening;
    }
    return this.#components.open(signal);
  }

  refill(): void {
    while (this.#closed === undefined && this.#ready.size + this.#openings.size < this.#options.count) {
      if (this.#components.room() <= 0) return;
      const hold = this.#backoff.hold();
      if (hold !== undefined) {
        this.#wake.by(hold.until);
        return;
      }
      this.#open();
    }
  }

  #open(): void {
    const opening = this.#components.open(this.#ending.signal);
    this.#openings.add(opening);
    this.#follow(
      opening.then(
        (resource) => this.#opened(opening, resource),
        (thrown: unknown) => {
          // A taker hears of it by itself.
          if (this.#openings.delete(opening)) this.#failed(ProxyError.from(thrown, 'upstream_unreachable'));
        },
      ),
    );
  }

  #opened(opening: Promise<R>, resource: R): Promise<void> | undefined {
    if (!this.#openings.delete(opening)) return undefined;
    const { close, watch, clock } = this.#components;
    if (this.#closed !== undefined) return close(resource, ended());
    const spare: Spare<R> = { resource, openedAt: clock.now() };
    this.#ready.add(spare);
    watch(resource, (reason) => {
      if (!this.#ready.delete(spare)) return;
      this.#follow(close(resource, reason));
      this.#died(reason, clock.now() - spare.openedAt);
    });
    return undefined;
  }

  #died(reason: ProxyError, age: number): void {
    if (age < this.#backoff.stableMs) {
      this.#failed(reason);
      return;
    }
    this.#backoff.worked();
    this.refill();
  }

  #failed(error: ProxyError): void {
    if (this.#closed !== undefined) return;
    this.#backoff.openingFailed(error);
    this.#components.log.warn({}, `a spare did not stay: ${error.message}`);
    this.refill();
  }

  #follow(work: Promise<void>): void {
    const followed = work.finally(() => this.#work.delete(followed));
    this.#work.add(followed);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    // Whoever is called from here on finds `#closed` set.
    await undefined;
    this.#wake.cancel();
    const reason = ended();
    this.#ending.abort(reason);
    for (const { resource } of this.#ready) this.#follow(this.#components.close(resource, reason));
    this.#ready.clear();
    while (this.#work.size > 0) await Promise.all(this.#work);
  }
}

function ended(): ProxyError {
  return new ProxyError('draining', 'the proxy is shutting down');
}

/** Not made in the constructor, whose scope would hold what it is for. */
function refillOf<R>(spares: SpareShelf<R>): void {
  spares.refill();
}
