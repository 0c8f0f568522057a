import type { Clock, Log } from '@shadowcat/kernel';
import type { Condition, ExchangeOutcome, Gate, GateState, Pass } from '../member.js';
import { BREAKER, type BreakerEvent, type BreakerState } from './breaker-table.js';
import { RollingCounts } from './rolling-counts.js';

export interface GateOptions {
  /** The member's name, for the log. */
  readonly name: string;
  /** Failures in a row that open it. Default 5; 0: it never opens. */
  readonly failures?: number | undefined;
  /** The share of exchanges, 0 to 1, whose failure opens it. Default 0.5. */
  readonly ratio?: number | undefined;
  /** How many exchanges there must be for the share to say something. Default 20. */
  readonly minimum?: number | undefined;
  /** Over which time the share is taken, in milliseconds. Default 10 s. */
  readonly windowMs?: number | undefined;
  /** How long it stays open, in milliseconds, give or take a fifth. Default 30 s. */
  readonly openMs?: number | undefined;
  /** Probes in a row that must be answered to close it again. Default 1. */
  readonly rise?: number | undefined;
  /** Probes in a row that must fail to open it. Default 3. */
  readonly fall?: number | undefined;
}

export interface GateComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** 0 to 1; spreads the ends of open times. Default: no spread. */
  readonly random?: (() => number) | undefined;
  /** Whether one more member may be kept out. Default: yes. */
  readonly mayOpen?: (() => boolean) | undefined;
  /** Told when the member gives reason to be asked how it is. */
  readonly suspected?: (() => void) | undefined;
  /** Milliseconds between two probes of the member; `undefined` while it is not probed. */
  readonly probedEveryMs?: (() => number | undefined) | undefined;
}

/** A {@link Gate} that active probes have a say in. */
export interface ProbedGate extends Gate {
  readonly breaker: BreakerState;
  /** Whether something failed since the member was last known to be well. */
  readonly suspect: boolean;
  /** A probe was answered, or failed for this reason. */
  probed(failure?: Error): void;
}

/** Who left after so long, in milliseconds, may have left because nothing came. */
const PATIENT_MS = 1000;

/**
 * The breaker of one member. Transport failures and timeouts open it: too many in a row, or too large a share of the last while.
 * Whatever a server answers proves that it lives. After its open time one exchange at a time is let through; active probes
 * open it too, and close it sooner.
 */
export function createGate(options: GateOptions): (components: GateComponents) => ProbedGate {
  return (components) => new Breaker(options, components);
}

class Breaker implements ProbedGate {
  readonly #options: Required<{ [K in keyof GateOptions]-?: NonNullable<GateOptions[K]> }>;
  readonly #components: GateComponents;
  readonly #counts: RollingCounts;
  #state: BreakerState = 'closed';
  /** Counts changes of state: what passed before one says nothing after it. */
  #epoch = 0;
  #until = 0;
  #failures = 0;
  /** Probes with the same result in a row: answered above 0, failed below. */
  #probes = 0;
  /** Whether probes opened it. */
  #down = false;
  /** Until when nobody else may try, because the one exchange of half-open is under way. */
  #takenUntil = 0;
  #suspect = false;
  #ejections = 0;
  #lastError: string | undefined;

  constructor(options: GateOptions, components: GateComponents) {
    this.#options = {
      name: options.name,
      failures: options.failures ?? 5,
      ratio: options.ratio ?? 0.5,
      minimum: options.minimum ?? 20,
      windowMs: options.windowMs ?? 10_000,
      openMs: options.openMs ?? 30_000,
      rise: options.rise ?? 1,
      fall: options.fall ?? 3,
    };
    this.#components = components;
    this.#counts = new RollingCounts(this.#options.windowMs);
  }

  get breaker(): BreakerState {
    if (this.#state === 'open' && this.#components.clock.now() >= this.#until) this.#take('waited');
    return this.#state;
  }

  get suspect(): boolean {
    return this.#suspect;
  }

  available(): boolean {
    if (this.#state === 'closed') return true;
    return this.breaker === 'half-open' && this.#components.clock.now() >= this.#takenUntil;
  }

  enter(): Pass | undefined {
    const now = this.#components.clock.now();
    if (this.#state !== 'closed') {
      if (!this.available()) return undefined;
      // A standing stream may wait for its first byte for ever: then another one tries after a while.
      this.#takenUntil = now + this.#options.openMs;
    }
    return new Passed(this, this.#epoch, now);
  }

  state(): GateState {
    const state = this.breaker;
    return {
      condition: this.#condition(state),
      failures: this.#failures,
      ejections: this.#ejections,
      lastError: this.#lastError,
      ...(state === 'closed' ? {} : { reopensInMs: this.#reopensIn(state) }),
    };
  }

  /** Whichever comes first: the end of its time, or as many probes as it takes. */
  #reopensIn(state: BreakerState): number {
    const { clock, probedEveryMs } = this.#components;
    const end = state === 'open' ? this.#until : this.#takenUntil;
    const every = probedEveryMs?.() ?? Number.POSITIVE_INFINITY;
    const probes = Math.max(1, this.#options.rise - Math.max(0, this.#probes));
    return Math.max(0, Math.min(end - clock.now(), every * probes));
  }

  probed(failure?: Error): void {
    if (failure !== undefined) {
      this.#suspect = true;
      this.#probes = Math.min(this.#probes, 0) - 1;
      this.#lastError = failure.message;
      if (-this.#probes >= this.#options.fall && this.#state === 'closed') this.#trip(failure, true);
      return;
    }
    this.#probes = Math.max(this.#probes, 0) + 1;
    if (this.#probes < this.#options.rise) return;
    this.#suspect = false;
    this.#failures = 0;
    if (this.breaker !== 'closed') this.#close('recovered');
  }

  /** How an exchange that was let through ended. */
  ended(pass: Passed, outcome: ExchangeOutcome, error: Error | undefined): void {
    const { clock } = this.#components;
    if (pass.epoch !== this.#epoch) return;
    this.#takenUntil = 0;
    if (outcome === 'abandoned') {
      if (clock.now() - pass.since >= PATIENT_MS) this.#suspected();
      return;
    }
    if (outcome === 'answered') {
      this.#failures = 0;
      this.#probes = Math.max(this.#probes, 0);
      if (this.#state !== 'closed') this.#close('answered');
      else this.#counts.add(clock.now(), 0);
      return;
    }
    this.#failures += 1;
    this.#lastError = error?.message ?? outcome;
    this.#counts.add(clock.now(), 1);
    this.#suspected();
    if (this.#state === 'half-open') this.#open('failed');
    else if (this.#isTooMuch()) this.#trip(error, false);
  }

  #isTooMuch(): boolean {
    const { failures, ratio, minimum } = this.#options;
    if (failures === 0) return false;
    if (this.#failures >= failures) return true;
    const [answered, failed] = this.#counts.sums(this.#components.clock.now());
    const all = answered + failed;
    return all >= minimum && failed >= ratio * all;
  }

  #trip(error: Error | undefined, down: boolean): void {
    const { log, mayOpen } = this.#components;
    const { name, failures } = this.#options;
    if (failures === 0 || mayOpen?.() === false) return;
    this.#down = down;
    this.#ejections += 1;
    this.#open('tripped');
    const said = error?.message ?? this.#lastError ?? 'it failed';
    log.warn({ target: name, failures: this.#failures, breaker: 'open' }, `${name} gets nothing for a while: ${said}`);
  }

  #open(event: BreakerEvent): void {
    const { clock, random } = this.#components;
    const spread = random === undefined ? 1 : 0.8 + 0.4 * random();
    this.#until = clock.now() + this.#options.openMs * spread;
    this.#take(event);
    // It may be the proxy's own idea that the member is out, so that it has to find out that it is not.
    this.#suspected();
  }

  #close(event: BreakerEvent): void {
    const { name } = this.#options;
    this.#down = false;
    this.#suspect = false;
    this.#failures = 0;
    this.#lastError = undefined;
    this.#counts.clear();
    this.#take(event);
    this.#components.log.info({ target: name, breaker: 'closed' }, `${name} is back`);
  }

  #take(event: BreakerEvent): void {
    const next = BREAKER[this.#state][event];
    if (next === undefined) return;
    this.#state = next;
    this.#epoch += 1;
    this.#takenUntil = 0;
  }

  #suspected(): void {
    this.#suspect = true;
    this.#components.suspected?.();
  }

  #condition(state: BreakerState): Condition {
    if (state === 'closed') return 'up';
    if (state === 'half-open') return 'probing';
    return this.#down ? 'down' : 'ejected';
  }
}

/** A class, because there is one for each exchange. */
class Passed implements Pass {
  readonly epoch: number;
  readonly since: number;
  readonly #breaker: Breaker;
  #done = false;

  constructor(breaker: Breaker, epoch: number, since: number) {
    this.#breaker = breaker;
    this.epoch = epoch;
    this.since = since;
  }

  done(outcome: ExchangeOutcome, error?: Error): void {
    if (this.#done) return;
    this.#done = true;
    this.#breaker.ended(this, outcome, error);
  }
}
