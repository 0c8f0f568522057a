import type { CounterSpec, GaugeSpec, HistogramSpec } from './instruments.js';

/** One row of an instrument that is read when somebody asks: values of the labels, in their order, and the value. */
export interface Reading {
  readonly labels?: readonly string[];
  readonly value: number;
}

/** Counts one series up. */
export type Count = (by?: number) => void;
/** Notes one value of one series. */
export type Observe = (value: number) => void;

/**
 * Where measurements go. Series are looked up once (`counter`, `histogram`) and used often. Instruments that mirror what
 * another part knows anyhow are read only when the measurements are asked for (`read`).
 */
export interface Meter {
  /** The series with these label values, in the order of the instrument's labels. */
  counter(spec: CounterSpec, ...labels: readonly string[]): Count;
  histogram(spec: HistogramSpec, ...labels: readonly string[]): Observe;
  /** Called at each reading; a number is the one row of an instrument without labels. For counters: the total so far. */
  read(spec: GaugeSpec | CounterSpec, reading: () => number | readonly Reading[]): void;
}
