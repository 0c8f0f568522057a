import type { Clock, Handler, Layer, Log } from '@shadowcat/kernel';
import { INSTRUMENTS, type Meter } from '@shadowcat/metrics';
import { compose } from '@shadowcat/pipeline';
import {
  createGate,
  hedge,
  inFlightLimit,
  ProbeDialogue,
  type ProbedGate,
  Probes,
  RetryBudget,
  retry,
  timeLimits,
} from '@shadowcat/upstream';
import { VERSION } from '../version.js';
import type { GroupConfig, ProtectionConfig } from './contract.js';
import type { Owned } from './owned.js';

/** How long a server may take to end the session of its health checks. */
const FAREWELL_MS = 1000;

export interface ProtectionComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly owned: Owned;
  readonly meter: Meter;
}

/** A target that can be asked in the background how it is. */
export interface ProbeTarget {
  readonly name: string;
  /** Without a bridge: it is asked in its own way. */
  readonly handler: Handler;
  /** `http`: it has sessions of its own; `line`: a line is opened for it; `none`: it is not asked. */
  readonly probe: 'http' | 'line' | 'none';
}

export interface ProtectionStats {
  readonly breakers: readonly { readonly name: string; readonly state: ProbedGate['breaker'] }[];
  readonly budget: { readonly refused: number; readonly left: number };
  readonly inFlight: { readonly inFlight: number; readonly refused: number };
}

/** What stands between clients and upstreams so that neither suffers from the other. */
export interface Protection {
  /** The gate of a target: its breaker. One for each name. */
  gate(name: string): ProbedGate;
  /** Around the handler that chooses a target. */
  readonly layer: Layer;
  /** Begins to ask targets how they are; called once, when all are open. */
  watch(targets: readonly ProbeTarget[]): void;
  stats(): ProtectionStats;
}

/** What it depends on: the limits, and which targets stand in for each other. */
export interface ProtectedConfig {
  readonly protection: ProtectionConfig;
  readonly groups: readonly Pick<GroupConfig, 'members' | 'combine'>[];
}

export function openProtection(
  { protection: config, groups }: ProtectedConfig,
  components: ProtectionComponents,
): Protection {
  const { clock, log, owned, meter } = components;
  const gates = new Map<string, ProbedGate>();
  const { breaker, health } = config;
  const probes =
    health.check === 'off' ? undefined : new Probes({ ...health, mode: health.check }, probeParts(components));
  const mayOpen = (name: string): boolean =>
    groups.every(({ members, combine }) => {
      // Members that are shown as one server do not stand in for each other.
      if (combine !== undefined || !members.includes(name)) return true;
      const out = members.filter((one) => one !== name && (gates.get(one)?.breaker ?? 'closed') !== 'closed').length;
      return out < Math.max(1, Math.floor(breaker.maxEjection * members.length));
    });
  const budget = new RetryBudget({ ratio: config.retry.budget, minimum: config.retry.minimum }, { clock });
  const limit = inFlightLimit({ max: config.maxInFlight });
  const limits = timeLimits({ totalMs: config.totalMs, idleMs: config.idleMs }, { clock });
  owned.add('the time limits of requests', () => limits.close());
  const counted = (spec: typeof INSTRUMENTS.retries | typeof INSTRUMENTS.hedges) => (target: string) =>
    meter.counter(spec, target)();
  return {
    gate: (name) => {
      const { rise, fall } = health;
      const parts = {
        clock,
        log,
        random: Math.random,
        mayOpen: () => mayOpen(name),
        suspected: () => probes?.suspect(name),
        probedEveryMs: () => probes?.everyMs(name),
      };
      const gate = gates.get(name) ?? createGate({ ...breaker, name, rise, fall })(parts);
      gates.set(name, gate);
      return gate;
    },
    layer: compose(
      // Outermost: what is refused costs nothing further in.
      limit,
      // Outside of retries: they are part of the time that a request may take.
      limits,
      retry(config.retry, { clock, log, budget, random: Math.random, retried: counted(INSTRUMENTS.retries) }),
      // Inside of retries: each attempt may have a second one beside it.
      hedge({ afterMs: config.hedgeAfterMs }, { clock, budget, hedged: counted(INSTRUMENTS.hedges) }),
    ),
    watch: (targets) => {
      if (probes !== undefined) watch(targets, { probes, gates, owned, log });
    },
    stats: () => ({
      breakers: [...gates].map(([name, gate]) => ({ name, state: gate.breaker })),
      budget: budget.stats(),
      inFlight: limit.stats(),
    }),
  };
}

function probeParts({ clock, log, meter }: ProtectionComponents): ConstructorParameters<typeof Probes>[1] {
  const probed = (name: string, outcome: 'ok' | 'failed'): void => meter.counter(INSTRUMENTS.probes, name, outcome)();
  return { clock, log, random: Math.random, probed };
}

interface WatchParts {
  readonly probes: Probes;
  readonly gates: ReadonlyMap<string, ProbedGate>;
  readonly owned: Owned;
  readonly log: Log;
}

function watch(targets: readonly ProbeTarget[], { probes, gates, owned, log }: WatchParts): void {
  for (const { name, handler, probe } of targets) {
    const gate = gates.get(name);
    if (gate === undefined || probe === 'none') continue;
    const dialogue = new ProbeDialogue({ name, version: VERSION, sessions: probe === 'http' }, handler);
    owned.add(`the session of health checks of ${name}`, async () => {
      // One that does not answer would only be waited for.
      if (gate.breaker !== 'closed') return;
      await dialogue.close(AbortSignal.timeout(FAREWELL_MS)).catch((error: unknown) => {
        log.debug({ err: error, target: name }, 'the session of health checks is left to the upstream');
      });
    });
    probes.add({ name, gate, ask: (signal) => dialogue.ask(signal) });
  }
  // Closed first of these.
  owned.add('the health checks', () => probes.close());
}
