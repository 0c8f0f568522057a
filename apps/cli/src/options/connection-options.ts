import { PROXY, SERVE, TARGET } from './audience.js';
import { endpointUrl, hostName, listenAddress, upstreamUrl, urlPath, webOrigin } from './network-types.js';
import { many, maybe, one } from './option.js';
import { bearerToken, envPair } from './pair-types.js';
import { flag, oneOf, text } from './scalar-types.js';

/* What is connected to what, and what is recorded or replayed. */

export const TARGET_OPTIONS = [
  many({
    name: 'upstream',
    type: upstreamUrl,
    group: 'Target',
    commands: TARGET,
    rivals: ['command'],
    help: 'address of an MCP server: http(s)://, ws(s)://, or sse+http(s):// for the legacy HTTP+SSE pair; name=address gives it a name; repeatable',
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
  many({
    name: 'env-file',
    type: text('file'),
    group: 'Target',
    commands: TARGET,
    help: 'file with such variables for the command, one a line; --env counts more, and later files more than earlier ones; repeatable',
    example: '.env',
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

export const LISTENING_OPTIONS = [
  one({
    name: 'listen',
    type: listenAddress,
    fallback: '127.0.0.1:8787',
    group: 'Listening',
    commands: [...SERVE, 'doctor'],
    help: 'where to accept clients; port 0 picks a free one; other addresses than loopback need --token or --no-auth',
    rivals: ['stdio'],
  }),
  one({
    name: 'path',
    type: urlPath,
    fallback: '/mcp',
    group: 'Listening',
    commands: SERVE,
    help: 'path of the endpoint',
  }),
  maybe({
    name: 'public-url',
    type: endpointUrl,
    group: 'Listening',
    commands: PROXY,
    help: 'the endpoint as clients know it, where TLS or another name stands in front; without a path, --path is added',
    example: 'https://mcp.example.com/mcp',
  }),
  one({
    name: 'stdio',
    type: flag,
    fallback: 'false',
    group: 'Listening',
    commands: ['record', 'replay'],
    help: 'serve one client on stdin and stdout instead of listening',
    rivals: ['listen'],
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

export const RECORDING_OPTIONS = [
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

export const REPLAY_OPTIONS = [
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
