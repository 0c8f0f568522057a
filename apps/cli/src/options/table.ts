import { hostName, listenAddress, upstreamUrl, urlPath, webOrigin } from './network-types.js';
import { type CommandName, many, maybe, type OptionSpec, one, type ValueOf } from './option.js';
import { bearerToken, envPair, header, storeUrl } from './pair-types.js';
import { duration, flag, int, oneOf, size, text } from './scalar-types.js';

const PROXY: readonly CommandName[] = ['reverse', 'record'];
const SERVE: readonly CommandName[] = ['reverse', 'record', 'replay'];
const EVERY: readonly CommandName[] = ['reverse', 'record', 'replay', 'doctor', 'tape'];
const TARGET: readonly CommandName[] = ['reverse', 'record', 'doctor'];

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const COUNT = { min: 1, max: 1_000_000 };

const TARGET_OPTIONS = [
  many({
    name: 'upstream',
    type: upstreamUrl,
    group: 'Target',
    commands: TARGET,
    rivals: ['command'],
    help: 'address of an MCP server: http(s)://, ws(s)://, or sse+http(s):// for the legacy HTTP+SSE pair; repeatable',
    example: 'http://localhost:3000/mcp',
  }),
  many({
    name: 'command',
    type: text('word'),
    group: 'Target',
    commands: TARGET,
    place: 'words',
    rivals: ['upstream'],
    help: 'an MCP server over stdio instead: its command and arguments, as a list; on the command line after --',
    example: '[npx, -y, "@modelcontextprotocol/server-everything", stdio]',
  }),
  many({
    name: 'env',
    type: envPair,
    group: 'Target',
    commands: TARGET,
    help: 'variable for the command: NAME=value, or NAME to pass it on; others than the basic ones are not passed; repeatable',
    example: 'LOG_LEVEL=debug',
  }),
  maybe({
    name: 'cwd',
    type: text('dir'),
    group: 'Target',
    commands: TARGET,
    help: 'where the command runs; without it the working directory',
    example: './server',
  }),
] as const;

const LISTENING_OPTIONS = [
  one({
    name: 'listen',
    type: listenAddress,
    fallback: '127.0.0.1:8787',
    group: 'Listening',
    commands: [...SERVE, 'doctor'],
    help: 'where to accept clients; port 0 picks a free one; other addresses than loopback need --token or --no-auth',
  }),
  one({
    name: 'path',
    type: urlPath,
    fallback: '/mcp',
    group: 'Listening',
    commands: SERVE,
    help: 'path of the endpoint',
  }),
  one({
    name: 'stdio',
    type: flag,
    fallback: 'false',
    group: 'Listening',
    commands: ['record', 'replay'],
    help: 'serve one client on stdin and stdout instead of listening',
  }),
  many({
    name: 'allow-host',
    type: hostName,
    group: 'Listening',
    commands: SERVE,
    help: "Host that clients may use besides the listener's own; repeatable",
    example: 'mcp.example.com',
  }),
  many({
    name: 'allow-origin',
    type: webOrigin,
    group: 'Listening',
    commands: SERVE,
    help: "Origin that web pages may have besides the listener's own; repeatable",
    example: 'https://app.example.com',
  }),
  maybe({
    name: 'token',
    type: bearerToken,
    group: 'Listening',
    commands: SERVE,
    rivals: ['token-file', 'no-auth'],
    help: 'clients must send this as Authorization: Bearer; other users see a command line, so prefer file or environment',
    example: 'a-long-random-word',
  }),
  maybe({
    name: 'token-file',
    type: text('file'),
    group: 'Listening',
    commands: SERVE,
    rivals: ['token', 'no-auth'],
    help: 'file that holds the token',
    example: '/run/secrets/shadowcat-token',
  }),
  one({
    name: 'no-auth',
    type: flag,
    fallback: 'false',
    group: 'Listening',
    commands: SERVE,
    rivals: ['token', 'token-file'],
    help: 'listen on other addresses than loopback without a token: whoever reaches the port may use the server',
  }),
  one({
    name: 'admin',
    type: oneOf('loopback', 'any', 'off'),
    fallback: 'loopback',
    group: 'Listening',
    commands: SERVE,
    help: 'who may read /health and /metrics: this machine, anyone who reaches the port, nobody',
  }),
] as const;

const RECORDING_OPTIONS = [
  maybe({
    name: 'record',
    type: text('path'),
    group: 'Recording',
    commands: ['reverse', 'doctor'],
    help: 'record what passes: a directory gets a tape per session, a file ending in .tape.jsonl gets everything',
    example: 'tapes/',
  }),
  maybe({
    name: 'out',
    type: text('path'),
    group: 'Recording',
    commands: ['record'],
    help: 'the tape: a file ending in .tape.jsonl, or a directory for a tape per session',
    example: 'session.tape.jsonl',
  }),
  one({
    name: 'record-required',
    type: flag,
    fallback: 'false',
    group: 'Recording',
    commands: PROXY,
    help: 'refuse traffic that cannot be recorded (disk full, no permission) instead of passing it on unrecorded',
  }),
  one({
    name: 'durable',
    type: flag,
    fallback: 'false',
    group: 'Recording',
    commands: PROXY,
    help: 'sync tapes to the disk as they grow, so that a power cut loses nothing',
  }),
] as const;

const REPLAY_OPTIONS = [
  many({
    name: 'tape',
    type: text('tape'),
    group: 'Replay',
    commands: ['replay'],
    place: 'arguments',
    help: 'the tapes to serve; on the command line as arguments',
    example: '[session.tape.jsonl]',
  }),
  one({
    name: 'all-used',
    type: flag,
    fallback: 'false',
    group: 'Replay',
    commands: ['replay'],
    help: 'exit with 1 when a recording was never asked for',
  }),
] as const;

const SESSION_OPTIONS = [
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
] as const;

const CHILDREN_OPTIONS = [
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

const UPSTREAM_OPTIONS = [
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
    help: 'how long an upstream may take until its answer begins; 0: no limit',
  }),
  one({
    name: 'on-upstream-loss',
    type: oneOf('recover', 'fail'),
    fallback: 'recover',
    group: 'Upstream',
    commands: PROXY,
    help: 'a session that its upstream forgot: open it again unnoticed, or tell the client',
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

const LIMIT_OPTIONS = [
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

const LOGGING_OPTIONS = [
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

/** Every option there is, in the order in which help and documentation show them. */
export const OPTIONS = [
  ...TARGET_OPTIONS,
  ...LISTENING_OPTIONS,
  ...RECORDING_OPTIONS,
  ...REPLAY_OPTIONS,
  ...SESSION_OPTIONS,
  ...CHILDREN_OPTIONS,
  ...UPSTREAM_OPTIONS,
  ...LIMIT_OPTIONS,
  ...LOGGING_OPTIONS,
] as const;

export type OptionName = (typeof OPTIONS)[number]['name'];

/** The value that each option ends up with. */
export type Values = { readonly [S in (typeof OPTIONS)[number] as S['name']]: ValueOf<S> };

/** The same table without the types of the values, for code that treats all options alike. */
export const SPECS: readonly OptionSpec[] = OPTIONS as readonly unknown[] as readonly OptionSpec[];

const BY_NAME = new Map(SPECS.map((spec) => [spec.name, spec]));

export function specOf(name: string): OptionSpec | undefined {
  return BY_NAME.get(name);
}

/** The options of one command, or of all. */
export function specsOf(command: CommandName | 'all'): readonly OptionSpec[] {
  return command === 'all' ? SPECS : SPECS.filter((spec) => spec.commands.includes(command));
}
