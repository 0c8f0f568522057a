export { createPool } from './pool.js';
export { createSpares, type Spares, type SparesComponents, type SparesOptions } from './spares.js';
export type {
  BackoffOptions,
  CrashLoop,
  Lease,
  Pool,
  PoolComponents,
  PoolOptions,
  PoolStats,
  Sharing,
  Waiting,
  WaitOutcome,
} from './types.js';
