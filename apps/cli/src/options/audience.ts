import type { CommandName } from './option.js';

/** The commands with a server behind them. */
export const PROXY: readonly CommandName[] = ['reverse', 'record'];
/** The commands that clients connect to. */
export const SERVE: readonly CommandName[] = ['reverse', 'record', 'replay'];
/** The commands that talk to a server. */
export const TARGET: readonly CommandName[] = ['reverse', 'record', 'verify', 'doctor'];
export const EVERY: readonly CommandName[] = [
  'reverse',
  'record',
  'replay',
  'verify',
  'doctor',
  'tape',
  'scan',
  'shadow',
];
