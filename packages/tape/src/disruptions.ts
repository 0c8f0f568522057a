import { type Fault, type FaultRule, isFor, type LatencyRule, type Overlay } from './overlay.js';
import type { Step } from './recording.js';

/** What the overlay does to one request. */
export interface Disruption {
  readonly fault: FaultRule | undefined;
  /** Milliseconds before the first message of the answer. */
  readonly delayMs: number;
}

const NONE: Disruption = { fault: undefined, delayMs: 0 };

/** Deals out latency and faults. What is left to chance depends on the seed and the count alone, so runs are alike. */
export class Disruptions {
  readonly #overlay: Overlay;
  readonly #counts = new Map<FaultRule | LatencyRule, number>();
  #dealt = 0;

  constructor(overlay: Overlay) {
    this.#overlay = overlay;
  }

  /** How many requests had a fault. */
  get dealt(): number {
    return this.#dealt;
  }

  /** A fault did something: not each does, as one at an event that does not come. */
  deal(): void {
    this.#dealt += 1;
  }

  /** For the next request. The first fault that hits counts; all latencies add up. */
  next(request: { readonly method: string; readonly target: string | undefined }): Disruption {
    const { faults, latency } = this.#overlay;
    if (faults.length === 0 && latency.length === 0) return NONE;
    let fault: FaultRule | undefined;
    for (const rule of faults) if (isFor(rule, request) && this.#hits(rule)) fault ??= rule;
    let delayMs = 0;
    for (const rule of latency) {
      if (isFor(rule, request)) delayMs += rule.ms + rule.jitterMs * this.#chance(rule, this.#count(rule));
    }
    return { fault, delayMs };
  }

  #hits(rule: FaultRule): boolean {
    const count = this.#count(rule);
    if (rule.nth !== undefined && !rule.nth.includes(count)) return false;
    return rule.probability === undefined || this.#chance(rule, count) < rule.probability;
  }

  #count(rule: FaultRule | LatencyRule): number {
    const count = (this.#counts.get(rule) ?? 0) + 1;
    this.#counts.set(rule, count);
    return count;
  }

  /** From 0 to below 1. Another for each rule and count. */
  #chance(rule: FaultRule | LatencyRule, count: number): number {
    const { seed = 1, faults, latency } = this.#overlay;
    const index = [...faults, ...latency].indexOf(rule);
    return scrambled(Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b) ^ Math.imul(count, 0xc2b2ae35));
  }
}

/** The finisher of MurmurHash3 (public domain): every bit of the input moves every bit of the output. */
function scrambled(seed: number): number {
  let h = seed >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 0x1_0000_0000;
}

/** Faults that change which messages are sent, and in which order. */
const RESHAPES: ReadonlySet<Fault> = new Set(['drop', 'reorder']);

/** What is sent of these messages under a fault: the same list where it changes nothing. */
export function disrupted(steps: readonly Step[], fault: FaultRule | undefined): readonly Step[] {
  if (fault === undefined || !RESHAPES.has(fault.fault)) return steps;
  const at = fault.event - 1;
  if (fault.fault === 'drop') return at >= steps.length ? steps : steps.filter((_, index) => index !== at);
  const [one, other] = [steps[at], steps[at + 1]];
  if (one === undefined || other === undefined) return steps;
  return [...steps.slice(0, at), other, one, ...steps.slice(at + 2)];
}
