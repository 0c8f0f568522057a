export { type ClassifyOptions, classifyLayer } from './classify-layer.js';
export { compose } from './compose.js';
export { type EdgeOptions, edgeGuard } from './edge-guard.js';
export { hostRule, LOOPBACK_HOSTS } from './hosts.js';
export { type InterceptComponents, type InterceptOptions, intercept } from './intercept.js';
export {
  type Control,
  type Direction,
  type Intercepted,
  type Interceptor,
  interceptorsOf,
  type Verdict,
  verdict,
} from './interceptor.js';
export type { MetadataOrigin } from './metadata-origin.js';
export { LOOPBACK_ORIGINS, originRule } from './origins.js';
export {
  type ProtectedResourceComponents,
  type ProtectedResourceOptions,
  protectedResource,
  protectedResourcePaths,
} from './protected-resource.js';
export { type RescueComponents, rescue } from './rescue.js';
export { tokenHint } from './token-hint.js';
export { type UniqueIdsComponents, uniqueIds } from './unique-ids.js';
