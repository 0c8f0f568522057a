export { DocumentClient, type DocumentClientOptions } from './document-client.js';
export { type ClientRequest, HttpClient, type HttpClientOptions } from './http-client.js';
export {
  type HttpUpstream,
  type HttpUpstreamComponents,
  type HttpUpstreamOptions,
  type HttpUpstreamStats,
  httpUpstream,
} from './http-upstream.js';
export { DEFAULT_LISTEN_LIMITS, type ListenerStats, type ListenLimits, type ListenOptions } from './listen-options.js';
export { type ListenComponents, type Listener, listen } from './listener.js';
export { type OpenSsePairOptions, openSsePair } from './open-sse-pair.js';
export type { HeaderRules } from './upstream-headers.js';
