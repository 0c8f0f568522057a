/** Exit codes. Those from 3 on belong to replay, verify and tape. */
export const EXIT = {
  ok: 0,
  /** Also: differences or misses. */
  failure: 1,
  usage: 2,
  tapeInvalid: 3,
  incomplete: 4,
  targetFailed: 5,
  secretFound: 6,
} as const;

/** Something the user can mend. `message` is one or two plain lines: what, where, what to do. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;

  constructor(message: string, options: { readonly exitCode?: number; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? EXIT.usage;
  }
}

/** One error out of several problems, each on its own line. */
export function problemsError(problems: readonly string[], exitCode: number = EXIT.usage): CliError {
  return new CliError(problems.join('\n'), { exitCode });
}
