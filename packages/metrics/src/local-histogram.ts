import { Histogram, type MetricObjectWithValues, type MetricValueWithName } from 'prom-client';
import type { HistogramSpec } from './instruments.js';
import type { Observe } from './meter.js';

interface Cell {
  readonly labels: Readonly<Record<string, string>>;
  /** For each bound, and last for what is above all of them: values that fell just there. */
  readonly counts: number[];
  sum: number;
}

type Values = MetricObjectWithValues<MetricValueWithName<string>>;

/** prom-client declares an enumeration that it does not have: at run time the type is this word, and is shown as it is. */
const TYPE = 'histogram' as unknown as Values['type'];

/**
 * prom-client's histogram with series that are plain arrays: noting a value is a walk along the bounds, and the objects with
 * labels are made when somebody asks for them. Each exchange notes two values, each scrape reads all of them.
 */
export class LocalHistogram extends Histogram {
  readonly #spec: HistogramSpec;
  readonly #cells = new Map<string, Cell>();

  constructor(spec: HistogramSpec, configuration: ConstructorParameters<typeof Histogram>[0]) {
    super(configuration);
    this.#spec = spec;
  }

  /** The series with these label values, in the order of the instrument's labels. */
  series(labels: readonly string[]): Observe {
    const { buckets } = this.#spec;
    const key = JSON.stringify(labels);
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      cell = {
        labels: Object.fromEntries(this.#spec.labels.map((name, at) => [name, labels[at] ?? ''])),
        counts: new Array<number>(buckets.length + 1).fill(0),
        sum: 0,
      };
      this.#cells.set(key, cell);
    }
    const { counts } = cell;
    const mine = cell;
    return (value) => {
      let at = 0;
      while (at < buckets.length && value > (buckets[at] as number)) at += 1;
      counts[at] = (counts[at] as number) + 1;
      mine.sum += value;
    };
  }

  override get(): Promise<Values> {
    const { name, help } = this.#spec;
    const values = [...this.#cells.values()].flatMap((cell) => this.#rows(cell));
    return Promise.resolve({ name, help, type: TYPE, aggregator: 'sum', collect: () => undefined, values });
  }

  /** What the registry asks for where it is there; the base class's would speak of its own, empty series. */
  getForPromString(): Promise<Values> {
    return this.get();
  }

  #rows({ labels, counts, sum }: Cell): Values['values'] {
    const { name, buckets } = this.#spec;
    let count = 0;
    const rows = counts.map((here, at) => {
      count += here;
      return { metricName: `${name}_bucket`, labels: { le: buckets[at] ?? '+Inf', ...labels }, value: count };
    });
    return [
      ...rows,
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}
