/** What both entries, `shadowcat/vitest` and `shadowcat/node-test`, have apart from `useTape`. */
export type { TapeTransport } from './client-transport.js';
export type { StdioCommand } from './endpoint.js';
export type { ConcurrentTest } from './frameworks.js';
export type { TapeMode } from './mode.js';
export type { CommandUpstream, TapeOptions, Upstream, UrlUpstream } from './options.js';
export { TapeError } from './tape-error.js';
export { type OpenTape, openTape, type Tape, type UsedTape, type UseTapeOptions } from './use-tape.js';
