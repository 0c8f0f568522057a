import { INSTRUMENTS, type Meter } from '@shadowcat/metrics';
import { type PrometheusMeter, prometheusMeter } from '@shadowcat/metrics/prometheus';
import type { ProxyConfig } from './contract.js';
import type { Owned } from './owned.js';

/** The meter of this process, with the process's own figures; with a configuration also the bounds in it. */
export function openMeter(version: string, owned: Owned, config?: ProxyConfig): PrometheusMeter {
  const meter = prometheusMeter({ version });
  owned.add('the meter', () => meter.close());
  if (config !== undefined) readLimits(meter, config);
  return meter;
}

/** Shows the bounds that a gauge can be held against. */
function readLimits(meter: Meter, { sessions, limits, protection, children, upstream }: ProxyConfig): void {
  const bounds: Readonly<Record<string, number>> = {
    'max-sessions': sessions.max,
    'max-sessions-per-credential': sessions.maxPerCredential,
    'max-connections': limits.maxConnections,
    'max-in-flight': protection.maxInFlight,
    'max-children': children.max,
    'max-queue': children.maxQueue,
    'max-bridge-questions': upstream.maxBridgeQuestions,
    'max-bridge-sessions': upstream.maxBridgeSessions,
    'resume-total': sessions.resume.totalBytes,
  };
  meter.read(INSTRUMENTS.limit, () => Object.entries(bounds).map(([option, value]) => ({ labels: [option], value })));
}
