import type { Fault } from '@shadowcat/tape';
import type { OverlayFile } from './overlay-shape.js';

/** Which faults each of these is for. */
const ONLY_FOR: Readonly<Record<string, readonly Fault[]>> = {
  event: ['disconnect', 'close', 'drop', 'reorder'],
  code: ['error'],
  message: ['error'],
  'retry-after': ['rate-limit', 'close'],
};

/** What rules of an overlay say in vain or against themselves, a line each. */
export function contradictions({ faults = [], expect = [] }: OverlayFile): readonly string[] {
  const idle = faults.flatMap(({ where, value }) =>
    Object.entries(ONLY_FOR).flatMap(([key, kinds]) => {
      const given = value[key as keyof typeof value] !== undefined;
      if (!given || value.fault === undefined || kinds.includes(value.fault)) return [];
      return [`${where}: "${key}" does nothing for ${value.fault}: it is for ${kinds.join(', ')}`];
    }),
  );
  const impossible = expect.flatMap(({ where, value }) => {
    const { times, 'at-least': least, 'at-most': most } = value;
    if (times !== undefined && (least !== undefined || most !== undefined)) {
      return [`${where}: "times" says it all: leave out "at-least" and "at-most"`];
    }
    return (least ?? 0) > (most ?? Number.POSITIVE_INFINITY)
      ? [`${where}: "at-least" ${least} is more than "at-most" ${most}`]
      : [];
  });
  return [...idle, ...impossible];
}
