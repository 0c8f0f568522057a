import { type ErrorCode, ProxyError } from '@shadowcat/kernel';
import { CliError, EXIT } from './errors.js';
import { printableLines } from './printable.js';

/** Which exit codes a command has: those from 3 on belong to commands that work on tapes. */
export type ExitFamily = 'tape' | 'other';

const TAPE_EXITS: Partial<Record<ErrorCode, number>> = {
  tape_invalid: EXIT.tapeInvalid,
  spawn_failed: EXIT.targetFailed,
  child_exited: EXIT.targetFailed,
  upstream_unreachable: EXIT.targetFailed,
  upstream_timeout: EXIT.targetFailed,
};

/** The exit code for whatever ended a command. */
export function exitCodeOf(error: unknown, family: ExitFamily): number {
  if (error instanceof CliError) return error.exitCode;
  if (family === 'other') return EXIT.failure;
  if (!(error instanceof ProxyError)) return EXIT.incomplete;
  // A listener that does not start is mended with another --listen; 1 would mean differences.
  if (error.code === 'internal' && error.data?.['code'] !== undefined) return EXIT.usage;
  return TAPE_EXITS[error.code] ?? EXIT.incomplete;
}

/** What a person is told about it: plain lines, and with `debug` the stack. */
export function failureText(error: unknown, debug: boolean): string {
  const known = error instanceof CliError || error instanceof ProxyError;
  const message = printableLines(error instanceof Error ? error.message : String(error));
  if (debug && error instanceof Error) return `shadowcat: ${message}\n${printableLines(stackOf(error))}\n`;
  if (known) return `shadowcat: ${message}\n`;
  return `shadowcat: unexpected failure: ${message}\n(--log-level debug shows where)\n`;
}

function stackOf(error: Error): string {
  const own = error.stack ?? `${error.name}: ${error.message}`;
  return error.cause instanceof Error ? `${own}\ncaused by ${stackOf(error.cause)}` : own;
}
