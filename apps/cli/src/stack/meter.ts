import { type PrometheusMeter, prometheusMeter } from '@shadowcat/metrics/prometheus';
import type { Owned } from './owned.js';

/** The meter of this process, with the process's own figures. */
export function openMeter(version: string, owned: Owned): PrometheusMeter {
  const meter = prometheusMeter({ version });
  owned.add('the meter', () => meter.close());
  return meter;
}
