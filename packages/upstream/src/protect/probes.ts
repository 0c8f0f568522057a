import { type Clock, type Log, ProxyError, type Timer } from '@shadowcat/kernel';
import type { ProbedGate } from './gate.js';

export interface ProbeOptions {
  /** `suspect`: members that gave reason for doubt, until they are well again; `all`: all of them, always. */
  readonly mode: 'suspect' | 'all';
  /** Milliseconds between two probes of one member, at most. */
  readonly intervalMs: number;
  /** By which share of the interval, 0 to 1, a probe may come sooner, so that probes of many do not come together. */
  readonly jitter: number;
  /** Milliseconds after which a probe has failed. */
  readonly timeoutMs: number;
}

/** One member that can be asked. */
export interface Probed {
  readonly name: string;
  readonly gate: ProbedGate;
  /** Asks. Rejects with what keeps the member from answering; `undetermined` when nothing can be said. */
  ask(signal: AbortSignal): Promise<'answered' | 'undetermined'>;
}

export interface ProbeComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** 0 to 1. */
  readonly random: () => number;
  /** Told how each probe ended. */
  readonly probed?: ((name: string, outcome: 'ok' | 'failed') => void) | undefined;
}

/** Asks members how they are, and tells their gates. One probe of a member at a time; members do not wait for each other. */
export class Probes {
  readonly #options: ProbeOptions;
  readonly #components: ProbeComponents;
  readonly #watched = new Map<string, Watched>();
  #closed = false;

  constructor(options: ProbeOptions, components: ProbeComponents) {
    this.#options = options;
    this.#components = components;
  }

  add(member: Probed): void {
    const watched: Watched = { member, timer: undefined, running: undefined, controller: undefined };
    this.#watched.set(member.name, watched);
    this.#plan(watched);
  }

  /** The member gave reason to be asked. */
  suspect(name: string): void {
    const watched = this.#watched.get(name);
    if (watched !== undefined) this.#plan(watched);
  }

  /** How long it takes at most until the member is asked next, in milliseconds; `undefined` when it never is. */
  everyMs(name: string): number | undefined {
    return !this.#closed && this.#watched.has(name) ? this.#options.intervalMs : undefined;
  }

  /** Gives up what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    const running: Promise<void>[] = [];
    for (const watched of this.#watched.values()) {
      watched.timer?.cancel();
      watched.controller?.abort(new ProxyError('draining', 'the proxy is shutting down'));
      if (watched.running !== undefined) running.push(watched.running);
    }
    await Promise.all(running);
  }

  #plan(watched: Watched): void {
    const { mode, intervalMs, jitter } = this.#options;
    if (this.#closed || watched.timer !== undefined || watched.running !== undefined) return;
    if (mode === 'suspect' && !watched.member.gate.suspect) return;
    const { clock, random } = this.#components;
    watched.timer = clock.timer(intervalMs * (1 - jitter * random()), () => {
      watched.timer = undefined;
      watched.running = this.#probe(watched).finally(() => {
        watched.running = undefined;
        this.#plan(watched);
      });
    });
  }

  async #probe(watched: Watched): Promise<void> {
    const { clock, log, probed } = this.#components;
    const { timeoutMs } = this.#options;
    const { gate, name } = watched.member;
    const controller = new AbortController();
    watched.controller = controller;
    const late = new ProxyError(
      'upstream_timeout',
      `${name} did not answer a health check within ${timeoutMs / 1000} s`,
    );
    const timer = clock.timer(timeoutMs, () => controller.abort(late));
    try {
      const said = await untilAborted(watched.member.ask(controller.signal), controller.signal);
      if (said === 'undetermined') return;
      gate.probed();
      probed?.(name, 'ok');
    } catch (thrown) {
      const error = ProxyError.from(thrown, 'upstream_closed');
      if (this.#closed || error.code === 'draining') return;
      log.debug({ target: name }, `a health check failed: ${error.message}`);
      gate.probed(error);
      probed?.(name, 'failed');
    } finally {
      timer.cancel();
      watched.controller = undefined;
    }
  }
}

interface Watched {
  readonly member: Probed;
  timer: Timer | undefined;
  running: Promise<void> | undefined;
  controller: AbortController | undefined;
}

/** What was asked may not know of the signal. */
function untilAborted<T>(asked: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const left = (): void => reject(ProxyError.from(signal.reason, 'cancelled'));
    signal.addEventListener('abort', left, { once: true });
    asked.then(resolve, reject).finally(() => signal.removeEventListener('abort', left));
  });
}
