import type { Log } from '@shadowcat/kernel';
import { failureText } from '../failure.js';
import type { Io, ProxyConfig } from '../stack/contract.js';

/** Reads the configuration again when it is asked to, and hands its weights on. */
export interface WeightReload {
  readonly reload: () => void;
  readonly onWeights: NonNullable<Io['onWeights']>;
}

/**
 * Weights are what may change while the proxy runs; everything else counts from the next start. A configuration that is not in
 * order changes nothing: the log says what is wrong with it. `read` throws then.
 */
export function reloadWeights(read: () => Pick<ProxyConfig, 'targets'>, log: Log): WeightReload {
  let set: Parameters<WeightReload['onWeights']>[0] = () => {};
  return {
    onWeights: (setter) => {
      set = setter;
    },
    reload: () => {
      try {
        const weights = Object.fromEntries(read().targets.map(({ name, weight }) => [name, weight ?? 1]));
        log.info({ weights }, 'SIGHUP: the configuration was read again; its weights are in effect');
        set(weights);
      } catch (error) {
        log.error({}, `SIGHUP: nothing was changed: ${failureText(error, false).trim()}`);
      }
    },
  };
}
