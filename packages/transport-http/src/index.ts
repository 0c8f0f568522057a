export { DocumentClient, type DocumentClientOptions } from './document-client.js';
export { type ClientRequest, HttpClient, type HttpClientOptions } from './http-client.js';
export {
  type HttpUpstream,
  type HttpUpstreamComponents,
  type HttpUpstreamOptions,
  type HttpUpstreamStats,
  httpUpstream,
} from './http-upstream.js';
export type { ListenerStats } from './listen-options.js';
export { type OpenSsePairOptions, openSsePair } from './open-sse-pair.js';
export type { HeaderRules } from './upstream-headers.js';
