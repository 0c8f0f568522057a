export { type ConnectionHarness, connectionCompliance, type FarEnd, type OpenedLine } from './connection-compliance.js';
export {
  classifiedExchange,
  type ExchangeParts,
  exchangeOf,
  type HandlerDouble,
  handlerOf,
  jsonReply,
  type ReadReply,
  readReply,
  streamReply,
} from './exchanges.js';
export { ManualClock, settled } from './manual-clock.js';
export { type MemoryConnection, type MemoryLineOptions, memoryLine } from './memory-line.js';
export {
  type SessionStoreHarness,
  type SessionStoreLike,
  type SuiteRunner,
  sessionStoreCompliance,
} from './session-store-compliance.js';
