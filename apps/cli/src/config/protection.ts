import type { ProtectionConfig } from '../stack/contract.js';
import type { Settings } from './settings.js';

/** How upstreams and their clients are protected from each other. */
export function protectionOf(settings: Settings): ProtectionConfig {
  return {
    totalMs: settings.get('total-timeout'),
    idleMs: settings.get('idle-timeout'),
    maxInFlight: settings.get('max-in-flight'),
    breaker: {
      failures: settings.get('breaker-failures'),
      ratio: settings.get('breaker-ratio'),
      minimum: settings.get('breaker-minimum'),
      windowMs: settings.get('breaker-window'),
      openMs: settings.get('breaker-open'),
      maxEjection: settings.get('max-ejection'),
    },
    health: {
      check: settings.get('health-check'),
      intervalMs: settings.get('health-interval'),
      jitter: settings.get('health-jitter'),
      timeoutMs: settings.get('health-timeout'),
      rise: settings.get('health-rise'),
      fall: settings.get('health-fall'),
    },
    retry: {
      attempts: settings.get('retry-attempts'),
      budget: settings.get('retry-budget'),
      minimum: settings.get('retry-minimum'),
      tools: settings.get('retry-tool'),
      hints: settings.get('retry-hints'),
    },
    hedgeAfterMs: settings.get('hedge-after'),
  };
}
