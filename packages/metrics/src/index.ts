export {
  type CounterSpec,
  type GaugeSpec,
  type HistogramSpec,
  INSTRUMENTS,
  type InstrumentSpec,
} from './instruments.js';
export { type MeasureComponents, type MeasureLayer, measure, measureUpstream } from './measure.js';
export type { Count, Meter, Observe, Reading } from './meter.js';
export { OUTCOMES, type Outcome } from './outcome.js';
