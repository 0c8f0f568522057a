export type { BridgeComponents, BridgeOptions } from './contract.js';
