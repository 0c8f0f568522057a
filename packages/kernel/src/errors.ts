/**
 * Everything that can go wrong in Shadowcat, as a closed set. A new code does not compile until {@link BLAME} and the
 * reply table of `@shadowcat/wire` (what the client sees) have an entry for it.
 */
export type ErrorCode =
  | 'parse_error'
  | 'invalid_request'
  | 'method_not_allowed'
  | 'not_found'
  | 'not_acceptable'
  | 'unsupported_media_type'
  | 'unsupported_encoding'
  | 'body_too_large'
  | 'forbidden_host'
  | 'forbidden_origin'
  | 'unauthorized'
  | 'header_mismatch'
  | 'invalid_params'
  | 'unsupported_version'
  | 'session_required'
  | 'session_not_found'
  | 'session_limit'
  | 'stream_conflict'
  | 'events_expired'
  | 'blocked'
  | 'rate_limited'
  | 'pool_exhausted'
  | 'draining'
  | 'spawn_failed'
  | 'child_exited'
  | 'upstream_unavailable'
  | 'upstream_unreachable'
  | 'upstream_timeout'
  | 'upstream_closed'
  | 'upstream_protocol'
  | 'slow_client'
  | 'replay_miss'
  | 'tape_invalid'
  | 'recorder_failed'
  | 'store_failed'
  | 'cancelled'
  | 'internal';

/** Who has to do something about it. `nobody` is for what is the normal course of things, such as a cancellation. */
export type Blame = 'client' | 'upstream' | 'operator' | 'proxy' | 'nobody';

/** Who is to blame for each code. Decides the log level and whether passive health counts it against an upstream. */
export const BLAME: Readonly<Record<ErrorCode, Blame>> = {
  parse_error: 'client',
  invalid_request: 'client',
  method_not_allowed: 'client',
  not_found: 'client',
  not_acceptable: 'client',
  unsupported_media_type: 'client',
  unsupported_encoding: 'client',
  body_too_large: 'client',
  forbidden_host: 'client',
  forbidden_origin: 'client',
  unauthorized: 'client',
  header_mismatch: 'client',
  invalid_params: 'client',
  unsupported_version: 'client',
  session_required: 'client',
  session_not_found: 'client',
  session_limit: 'operator',
  stream_conflict: 'client',
  events_expired: 'client',
  blocked: 'operator',
  rate_limited: 'client',
  pool_exhausted: 'operator',
  draining: 'nobody',
  spawn_failed: 'operator',
  child_exited: 'upstream',
  upstream_unavailable: 'upstream',
  upstream_unreachable: 'upstream',
  upstream_timeout: 'upstream',
  upstream_closed: 'upstream',
  upstream_protocol: 'upstream',
  slow_client: 'client',
  replay_miss: 'client',
  tape_invalid: 'operator',
  recorder_failed: 'operator',
  store_failed: 'operator',
  cancelled: 'nobody',
  internal: 'proxy',
};

export interface ProxyErrorOptions {
  readonly cause?: unknown;
  /** Structured details for the client, sent as the JSON-RPC error's `data`. Never secrets. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** When trying again may help, in whole seconds: becomes `Retry-After`. */
  readonly retryAfter?: number;
}

/** The one error class. `message` is one plain line for a person: what went wrong, where, and what to do. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code: ErrorCode;
  readonly data: Readonly<Record<string, unknown>> | undefined;
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, options: ProxyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.data = options.data;
    this.retryAfter = options.retryAfter;
  }

  get blame(): Blame {
    return BLAME[this.code];
  }

  /** Any thrown value as a `ProxyError`: itself when it is one, `cancelled` for an abort, else `fallback`. */
  static from(thrown: unknown, fallback: ErrorCode = 'internal'): ProxyError {
    if (thrown instanceof ProxyError) return thrown;
    if (thrown instanceof Error && thrown.name === 'AbortError') {
      return new ProxyError('cancelled', 'the request was cancelled', { cause: thrown });
    }
    return new ProxyError(fallback, messageOf(thrown), { cause: thrown });
  }
}

/** Anything can be thrown, also what has no text. */
function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  try {
    return String(thrown);
  } catch {
    return 'something without a text was thrown';
  }
}
