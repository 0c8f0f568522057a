import type { Layer } from '@shadowcat/kernel';

/** One layer out of several, the outermost first: it sees the exchange first and the reply last. */
export function compose(...layers: readonly Layer[]): Layer {
  return (next) => layers.reduceRight((inner, layer) => layer(inner), next);
}
