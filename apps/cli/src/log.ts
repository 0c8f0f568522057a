import { createRequire } from 'node:module';
import type { Log } from '@shadowcat/kernel';
import { pino, stdSerializers } from 'pino';
import type pinoPretty from 'pino-pretty';
import { CONCEALED } from './options/option-type.js';
import type { Values } from './options/table.js';
import { printableJson } from './printable.js';

export interface LogOptions {
  readonly level: Values['log-level'];
  readonly format: Values['log-format'];
  /** Whether stderr is a terminal. */
  readonly terminal: boolean;
  /** Whether colours are wanted there. */
  readonly colour: boolean;
  readonly write: (text: string) => void;
}

/** Where details may hold what nobody else may read. The parts do not log such things; this is the second lock. */
const SECRET_KEYS = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'mcp-session-id',
  'token',
  'password',
];
const SECRET_PATHS = SECRET_KEYS.flatMap((key) => [`["${key}"]`, `*["${key}"]`, `*.headers["${key}"]`]);

/**
 * A logger that writes each line before it returns, so that the last words before an exit are not lost. Errors are logged
 * as one line, with their stack only at level `debug`.
 */
export function createLog(options: LogOptions): Log {
  const { level, write } = options;
  const wantsPretty = options.format === 'pretty' || (options.format === 'auto' && options.terminal);
  const error = level === 'debug' ? stdSerializers.err : plainError;
  const prettify = wantsPretty
    ? loadPretty().prettyFactory({
        colorize: options.colour,
        ignore: 'pid,hostname',
        translateTime: 'SYS:HH:MM:ss.l',
        singleLine: true,
      })
    : undefined;
  return pino(
    {
      level,
      base: null,
      redact: { paths: SECRET_PATHS, censor: CONCEALED },
      serializers: { err: error, error, cause: error },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: wantsPretty ? pino.stdTimeFunctions.epochTime : pino.stdTimeFunctions.isoTime,
    },
    { write: (line) => write(prettify === undefined ? line : prettify(printableJson(line))) },
  );
}

/** Loaded when somebody is to read it: it is a sixth of what each command loads before it knows what to do. */
function loadPretty(): typeof pinoPretty {
  return createRequire(import.meta.url)('pino-pretty') as typeof pinoPretty;
}

function plainError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  return { type: error.name, message: error.message, ...('code' in error ? { code: error.code } : {}) };
}
