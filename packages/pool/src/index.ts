export { createPool } from './pool.js';
export type { BackoffOptions, Lease, Pool, PoolComponents, PoolOptions, PoolStats, Sharing, Waiting } from './types.js';
