import type { Clock, Handler, Layer, Log } from '@shadowcat/kernel';
import { type Count, INSTRUMENTS, type Meter } from '@shadowcat/metrics';
import { BEYOND, type MirrorStats, mirror, type Verdict } from '@shadowcat/shadow';
import { saysReadOnly, ToolHints } from '@shadowcat/upstream';
import type { MirrorConfig } from './contract.js';
import { FindingsFile } from './findings-file.js';
import type { Owned } from './owned.js';

export interface MirroringComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly owned: Owned;
  readonly meter: Meter;
  /** The group that is asked as well. */
  readonly shadow: Handler;
}

export interface Mirroring {
  /** Around the group that is mirrored. */
  readonly layer: Layer;
  stats(): MirrorStats;
}

/** Places that are told apart in metrics; the findings tell more. */
const MAX_PLACES = 1_000;

/** Asks a second group what the first one is asked, and keeps what differs. Closed before the targets are. */
export function openMirror(config: MirrorConfig, components: MirroringComponents): Mirroring {
  const { clock, log, owned, meter, shadow } = components;
  const { share, methods, effects, ignore, timeoutMs, maxInFlight, findings } = config;
  const file = new FindingsFile({ path: findings }, { clock, log });
  owned.add('the findings of the mirror', () => file.close());
  const hints = new ToolHints(saysReadOnly);
  const count = counting(meter);
  const ended = (verdict: Verdict): void => {
    count(verdict);
    const { outcome, differences } = verdict;
    if (outcome === 'skipped') return;
    file.count((tally, at) => {
      if (outcome === 'failed' || outcome === 'timeout') tally.failed(verdict, at);
      else tally.answered(verdict, differences, at);
    });
  };
  const mirroring = mirror(
    { share, methods, effects, ignore, timeoutMs, maxInFlight },
    {
      shadow,
      clock,
      log,
      random: Math.random,
      ended,
      tools: {
        readOnly: (tool) => hints.marked(config.from, tool),
        watch: (call, answer) => hints.watch(call, config.from, answer),
      },
    },
  );
  owned.add('the mirror', () => mirroring.close());
  return { layer: mirroring.layer, stats: () => mirroring.stats() };
}

function counting(meter: Meter): (verdict: Verdict) => void {
  const places = new Map<string, Count>();
  const placed = (method: string, tool: string, place: string): void => {
    const key = JSON.stringify([method, tool, place]);
    const known = places.has(key) || places.size < MAX_PLACES;
    const labels = known ? [method, tool, place] : [method, BEYOND, BEYOND];
    const countKey = known ? key : method;
    const one = places.get(countKey) ?? meter.counter(INSTRUMENTS.mirrorDifferences, ...labels);
    places.set(countKey, one);
    one();
  };
  return ({ method, tool, outcome, reason, differences }) => {
    meter.counter(INSTRUMENTS.mirrored, outcome)();
    if (reason !== undefined) meter.counter(INSTRUMENTS.mirrorSkipped, reason)();
    for (const place of new Set(differences.map((one) => one.place))) placed(method, tool, place);
  };
}
