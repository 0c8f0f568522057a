export { type BackoffOptions, DEFAULT_BACKOFF } from './backoff.js';
export { EventBoundary } from './event-boundary.js';
export type { EventLogComponents, EventLogOptions, EventLogStats } from './event-log.js';
export { KEEP_ALIVE_COMMENT, type KeepAlive, keepAlive, type Watched } from './keep-alive.js';
export { type ResumableComponents, type ResumableOptions, type Resumption, resumable } from './resumable.js';
export { type ResumptionLayer, type ResumptionStats, resumption } from './resumption.js';
export {
  type PairRequest,
  type SsePairComponents,
  type SsePairOptions,
  ssePairConnection,
} from './sse-pair-connection.js';
export {
  type SsePairServer,
  type SsePairServerComponents,
  type SsePairServerOptions,
  ssePairServer,
} from './sse-pair-server.js';
