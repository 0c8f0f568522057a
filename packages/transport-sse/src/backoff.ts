/** When to try again. Times in milliseconds. */
export interface BackoffOptions {
  /** The first wait when the server named none, and the scale of later ones. */
  readonly minDelay: number;
  readonly maxDelay: number;
  /** Attempts in a row that may fail before giving up. */
  readonly tries: number;
}

/** The longest wait that a server can ask for, in milliseconds: one that names years has made a mistake. */
const LONGEST_RETRY = 600_000;

export const DEFAULT_BACKOFF: BackoffOptions = { minDelay: 1_000, maxDelay: 60_000, tries: 5 };

/**
 * The wait before the next attempt, after `failures` in a row. The first follows the server's own `retry` to the letter;
 * later ones are spread evenly over an interval that doubles each time (full jitter), so that clients of a server that
 * comes back do not come back together. Never sooner than `retry`, as far as that is at most ten minutes.
 */
export function backoffDelay(
  failures: number,
  named: number | undefined,
  options: BackoffOptions & { readonly random: () => number },
): number {
  const retry = named === undefined ? undefined : Math.min(named, LONGEST_RETRY);
  if (failures === 0) return retry ?? options.minDelay;
  const most = Math.min(options.maxDelay, options.minDelay * 2 ** failures);
  return Math.max(retry ?? 0, options.random() * most);
}
