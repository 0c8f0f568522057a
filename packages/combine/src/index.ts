export { type Combined, combine } from './combine.js';
export type { CombineComponents, CombineMember, CombineOptions, CombineStats } from './contract.js';
