import type { Clock, Timer } from '@shadowcat/kernel';

/** The comment line that keeps an idle stream alive; clients ignore it (WHATWG HTML, 9.2.6). */
export const KEEP_ALIVE_COMMENT: Uint8Array = new TextEncoder().encode(': keep-alive\n\n');

/** A stream that is watched. */
export interface Watched {
  /** Something was sent: the stream is not idle. */
  touch(): void;
  /** The stream is over. Idempotent. */
  stop(): void;
}

export interface KeepAlive {
  /** Calls `ping` whenever nothing was sent for a while. `ping` may not throw. */
  watch(ping: () => void): Watched;
  readonly streams: number;
  /** Forgets all streams and cancels the timer. */
  close(): void;
}

interface Entry {
  readonly ping: () => void;
  quiet: boolean;
}

/**
 * Watches all SSE streams of a listener with one timer, which is only set while there are streams. No stream stays silent
 * for longer than `interval` milliseconds: the timer ticks at half of it, and a stream that was silent for a whole tick is
 * pinged. `interval: 0` watches nothing.
 */
export function keepAlive(options: { readonly interval: number }, components: { readonly clock: Clock }): KeepAlive {
  const { clock } = components;
  const half = options.interval / 2;
  const entries = new Set<Entry>();
  let timer: Timer | undefined;

  const tick = (): void => {
    timer = entries.size === 0 ? undefined : clock.timer(half, tick);
    for (const entry of entries) {
      if (entry.quiet) entry.ping();
      entry.quiet = true;
    }
  };

  return {
    get streams() {
      return entries.size;
    },
    watch(ping) {
      if (half <= 0) return UNWATCHED;
      const entry: Entry = { ping, quiet: false };
      entries.add(entry);
      timer ??= clock.timer(half, tick);
      return {
        touch() {
          entry.quiet = false;
        },
        stop() {
          entries.delete(entry);
          if (entries.size > 0) return;
          timer?.cancel();
          timer = undefined;
        },
      };
    },
    close() {
      entries.clear();
      timer?.cancel();
      timer = undefined;
    },
  };
}

const UNWATCHED: Watched = { touch() {}, stop() {} };
