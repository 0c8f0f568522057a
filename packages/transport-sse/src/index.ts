export { EventBoundary } from './event-boundary.js';
export { KEEP_ALIVE_COMMENT, type KeepAlive, keepAlive, type Watched } from './keep-alive.js';
