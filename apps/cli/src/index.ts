/**
 * What programs use of Shadowcat: the types of an interceptor module (docs/interceptors.md), and the commands as functions.
 * Everything else is the `shadowcat` command's own.
 */
export {
  type Control,
  type Direction,
  type Intercepted,
  type Interceptor,
  type Verdict,
  verdict,
} from '@shadowcat/pipeline';
export type {
  AccessConfig,
  ChildrenConfig,
  CommandTarget,
  GroupConfig,
  Io,
  LimitsConfig,
  ListenAddress,
  ProxyConfig,
  RecordingConfig,
  ReplayConfig,
  ReverseConfig,
  RouteConfig,
  SessionsConfig,
  Target,
  Targets,
  UpstreamConfig,
  UrlTarget,
} from './stack/contract.js';
export { runReplay } from './stack/run-replay.js';
export { runReverse } from './stack/run-reverse.js';
