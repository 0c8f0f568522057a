import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { type CounterSpec, type GaugeSpec, INSTRUMENTS, type InstrumentSpec } from './instruments.js';
import { LocalHistogram } from './local-histogram.js';
import type { Count, Meter, Reading } from './meter.js';

export interface PrometheusOptions {
  /** The version that `shadowcat_build_info` names. */
  readonly version: string;
  /**
   * Whether to measure the process too: CPU, memory, descriptors, garbage collection, event-loop lag. Default true. The
   * probes for the last two live as long as the process and do not keep it alive: one such meter a process.
   */
  readonly process?: boolean;
}

/** A meter that shows its measurements in Prometheus' text format. */
export interface PrometheusMeter extends Meter {
  readonly contentType: string;
  render(): Promise<string>;
  /** Forgets everything; what is measured afterwards is not shown. */
  close(): void;
}

/**
 * A meter with a registry of its own. Counters and histograms are shown from the start; a gauge is when somebody reads it,
 * because a 0 that nobody means looks like a measurement.
 */
export function prometheusMeter(
  options: PrometheusOptions,
  instruments: Readonly<Record<string, InstrumentSpec>> = INSTRUMENTS,
): PrometheusMeter {
  const registry = new Registry();
  if (options.process !== false) collectDefaultMetrics({ register: registry, prefix: 'shadowcat_' });
  const table = new Table(registry, instruments);
  const meter: PrometheusMeter = {
    counter: (spec, ...labels) => table.count(spec, labels),
    histogram: (spec, ...labels) => table.histogram(spec).series(labels),
    read: (spec, reading) => table.read(spec, reading),
    contentType: registry.contentType,
    render: () => registry.metrics(),
    close: () => registry.clear(),
  };
  meter.read(INSTRUMENTS.build, () => [{ labels: [options.version], value: 1 }]);
  return meter;
}

interface Tally extends Reading {
  value: number;
}

type ReadAll = () => number | readonly Reading[];

/** prom-client's objects by the name of their instrument. */
class Table {
  /** The series of each counter by their labels: plain numbers until somebody asks. */
  readonly #counters = new Map<string, Map<string, Tally>>();
  readonly #histograms = new Map<string, LocalHistogram>();
  readonly #readings = new Map<string, ReadAll>();

  readonly #registry: Registry;
  readonly #gauges = new Set<string>();

  constructor(registry: Registry, instruments: Readonly<Record<string, InstrumentSpec>>) {
    this.#registry = registry;
    for (const spec of Object.values(instruments)) {
      if (spec.kind === 'histogram') {
        const configuration = { ...this.#common(spec), buckets: [...spec.buckets] };
        this.#histograms.set(spec.name, new LocalHistogram(spec, configuration));
      } else if (spec.kind === 'counter') {
        const tallies = new Map<string, Tally>();
        this.#counters.set(spec.name, tallies);
        this.#readings.set(spec.name, () => [...tallies.values()]);
        const collect = this.#collector(spec, (counter: Counter, labels, value) => counter.inc(labels, value));
        new Counter({ ...this.#common(spec), collect });
      }
    }
  }

  count(spec: CounterSpec, labels: readonly string[]): Count {
    const tallies = this.#counters.get(spec.name);
    if (tallies === undefined) throw new Error(`${spec.name} is not one of this meter's counters`);
    const key = JSON.stringify(labels);
    const tally = tallies.get(key) ?? { labels, value: 0 };
    tallies.set(key, tally);
    return (by = 1) => {
      tally.value += by;
    };
  }

  histogram(spec: InstrumentSpec): LocalHistogram {
    const found = this.#histograms.get(spec.name);
    if (found === undefined) throw new Error(`${spec.name} is not one of this meter's histograms`);
    return found;
  }

  read(spec: GaugeSpec | CounterSpec, reading: ReadAll): void {
    this.#readings.set(spec.name, reading);
    if (spec.kind === 'counter' || this.#gauges.has(spec.name)) return;
    this.#gauges.add(spec.name);
    const collect = this.#collector(spec, (gauge: Gauge, labels, value) => gauge.set(labels, value));
    new Gauge({ ...this.#common(spec), collect });
  }

  #common(spec: InstrumentSpec): { name: string; help: string; labelNames: string[]; registers: Registry[] } {
    return { name: spec.name, help: spec.help, labelNames: [...spec.labels], registers: [this.#registry] };
  }

  /** What prom-client calls before it shows an instrument. */
  #collector<M extends { reset(): void }>(
    spec: GaugeSpec | CounterSpec,
    write: (metric: M, labels: Record<string, string>, value: number) => void,
  ): (this: M) => void {
    const readings = this.#readings;
    return function (this: M) {
      const rows = readings.get(spec.name)?.();
      if (rows === undefined) return;
      this.reset();
      for (const { labels = [], value } of typeof rows === 'number' ? [{ value: rows }] : rows) {
        write(this, Object.fromEntries(spec.labels.map((name, at) => [name, labels[at] ?? ''])), value);
      }
    };
  }
}
