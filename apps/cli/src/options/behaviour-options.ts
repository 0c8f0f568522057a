import { EVERY, PROXY, SERVE, TARGET } from './audience.js';
import { many, one } from './option.js';
import { header, storeUrl } from './pair-types.js';
import { duration, flag, int, oneOf, size, text } from './scalar-types.js';

/* How it behaves, and within which bounds. */

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const COUNT = { min: 1, max: 1_000_000 };

export const SESSION_OPTIONS = [
  one({
    name: 'store',
    type: storeUrl,
    fallback: 'sqlite:.shadowcat/state.db',
    group: 'Sessions',
    commands: [...PROXY, 'doctor'],
    help: 'where sessions are kept: sqlite: and a path, or memory:',
  }),
  one({
    name: 'session-idle',
    type: duration(),
    fallback: '30m',
    group: 'Sessions',
    commands: PROXY,
    help: 'how long a session lives without traffic',
  }),
  one({
    name: 'max-sessions',
    type: int(COUNT),
    fallback: '10000',
    group: 'Sessions',
    commands: PROXY,
    help: 'sessions at the same time',
  }),
  one({
    name: 'max-sessions-per-credential',
    type: int(COUNT),
    fallback: '100',
    group: 'Sessions',
    commands: PROXY,
    help: 'sessions at the same time of clients that send the same credential',
  }),
  one({
    name: 'resume-events',
    type: int({ min: 1, max: 100_000 }),
    fallback: '1000',
    group: 'Sessions',
    commands: PROXY,
    help: 'events kept for each session, so that a client that was cut gets them with Last-Event-ID',
  }),
  one({
    name: 'resume-bytes',
    type: size({ min: KIB, max: GIB }),
    fallback: '8MiB',
    group: 'Sessions',
    commands: PROXY,
    help: 'how large these events may be together for each session',
  }),
  one({
    name: 'resume-total',
    type: size({ min: KIB, max: 64 * GIB }),
    fallback: '256MiB',
    group: 'Sessions',
    commands: PROXY,
    help: 'how large they may be for all sessions; the oldest go first',
  }),
] as const;

export const CHILDREN_OPTIONS = [
  one({
    name: 'isolation',
    type: oneOf('session', 'shared', 'request'),
    fallback: 'session',
    group: 'Children',
    commands: PROXY,
    help: 'how children are shared: one for each session, one for everybody, one for each request',
  }),
  one({
    name: 'max-children',
    type: int({ min: 1, max: 10_000 }),
    fallback: '64',
    group: 'Children',
    commands: PROXY,
    help: 'children at the same time',
  }),
  one({
    name: 'max-queue',
    type: int({ min: 0, max: 1_000_000 }),
    fallback: '256',
    group: 'Children',
    commands: PROXY,
    help: 'requests that may wait for a child; more are refused at once',
  }),
  one({
    name: 'queue-timeout',
    type: duration(),
    fallback: '30s',
    group: 'Children',
    commands: PROXY,
    help: 'how long a request waits for a child at most',
  }),
  one({
    name: 'max-line',
    type: size({ min: KIB, max: GIB }),
    fallback: '10MiB',
    group: 'Children',
    commands: PROXY,
    help: 'longest message of a child',
  }),
] as const;

export const UPSTREAM_OPTIONS = [
  many({
    name: 'header',
    type: header,
    group: 'Upstream',
    commands: TARGET,
    help: 'header to send to the upstream with each request; repeatable',
    example: 'x-api-key=secret',
  }),
  one({
    name: 'forward-authorization',
    type: flag,
    fallback: 'false',
    group: 'Upstream',
    commands: PROXY,
    help: "send the client's own Authorization header on to the upstream",
  }),
  one({
    name: 'connect-timeout',
    type: duration(),
    fallback: '5s',
    group: 'Upstream',
    commands: TARGET,
    help: 'how long connecting to an upstream may take',
  }),
  one({
    name: 'first-byte-timeout',
    type: duration({ zero: true }),
    fallback: '60s',
    group: 'Upstream',
    commands: PROXY,
    help: 'how long an upstream may take until its answer begins, or a server command to initialize; 0: no limit',
  }),
  one({
    name: 'on-upstream-loss',
    type: oneOf('recover', 'fail'),
    fallback: 'recover',
    group: 'Upstream',
    commands: PROXY,
    help: 'a session that its upstream forgot: open it again unnoticed, or tell the client',
  }),
  one({
    name: 'bridge',
    type: oneOf('auto', 'off'),
    fallback: 'auto',
    group: 'Upstream',
    commands: PROXY,
    help: 'a client and an upstream of different eras of MCP: translate between them, or hand the refusal on',
  }),
  many({
    name: 'interceptor',
    type: text('module'),
    group: 'Upstream',
    commands: PROXY,
    help: 'module that exports an interceptor, a path or a package; the first one is outermost; repeatable',
    example: './interceptors/block-writes.js',
  }),
] as const;

export const LIMIT_OPTIONS = [
  one({
    name: 'max-body',
    type: size({ min: KIB, max: GIB }),
    fallback: '4MiB',
    group: 'Limits',
    commands: SERVE,
    help: 'largest body of a request',
  }),
  one({
    name: 'max-batch',
    type: int({ min: 1, max: 100_000 }),
    fallback: '100',
    group: 'Limits',
    commands: SERVE,
    help: 'messages in a JSON-RPC batch',
  }),
  one({
    name: 'max-json-depth',
    type: int({ min: 8, max: 1000 }),
    fallback: '64',
    group: 'Limits',
    commands: SERVE,
    help: 'nesting of arrays and objects in a message',
  }),
  one({
    name: 'max-json-nodes',
    type: int({ min: 100, max: 10_000_000 }),
    fallback: '100000',
    group: 'Limits',
    commands: SERVE,
    help: 'values in a message',
  }),
  one({
    name: 'max-header-size',
    type: size({ min: KIB, max: MIB }),
    fallback: '16KiB',
    group: 'Limits',
    commands: SERVE,
    help: 'all headers of a request together',
  }),
  one({
    name: 'max-headers',
    type: int({ min: 10, max: 2000 }),
    fallback: '100',
    group: 'Limits',
    commands: SERVE,
    help: 'header fields of a request',
  }),
  one({
    name: 'max-connections',
    type: int(COUNT),
    fallback: '10000',
    group: 'Limits',
    commands: SERVE,
    help: 'connections of clients at the same time',
  }),
  one({
    name: 'headers-timeout',
    type: duration(),
    fallback: '10s',
    group: 'Limits',
    commands: SERVE,
    help: 'how long the headers of a request may take to arrive',
  }),
  one({
    name: 'request-timeout',
    type: duration(),
    fallback: '60s',
    group: 'Limits',
    commands: SERVE,
    help: 'how long a whole request may take to arrive',
  }),
  one({
    name: 'max-stream-queue',
    type: size({ min: 4 * KIB, max: GIB }),
    fallback: '1MiB',
    group: 'Limits',
    commands: SERVE,
    help: 'what may wait to be sent on one stream; a client that reads too slowly is dropped then',
  }),
  one({
    name: 'keep-alive',
    type: duration({ zero: true }),
    fallback: '15s',
    group: 'Limits',
    commands: SERVE,
    help: 'a comment is sent on a stream that was silent for this long; 0: never',
  }),
  one({
    name: 'drain-timeout',
    type: duration({ zero: true }),
    fallback: '10s',
    group: 'Limits',
    commands: SERVE,
    help: 'how long a shutdown waits for requests in flight',
  }),
] as const;

export const LOGGING_OPTIONS = [
  one({
    name: 'log-level',
    type: oneOf('debug', 'info', 'warn', 'error', 'silent'),
    fallback: 'info',
    group: 'Logging',
    commands: EVERY,
    help: 'what is logged to stderr; debug adds stack traces to errors',
  }),
  one({
    name: 'log-format',
    type: oneOf('auto', 'pretty', 'json'),
    fallback: 'auto',
    group: 'Logging',
    commands: [...SERVE, 'doctor'],
    help: 'how it is logged; auto: pretty on a terminal, else json',
  }),
] as const;
