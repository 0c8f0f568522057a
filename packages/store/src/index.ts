export type { Store, StoreHealth } from './health.js';
export { openStore } from './open-store.js';
export type { StoreComponents } from './sqlite-store.js';
