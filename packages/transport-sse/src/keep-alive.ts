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
  /** Its place among the entries; -1 once it is out. */
  at: number;
}

/**
 * Watches all SSE streams of a listener with one timer, which is only set while there are streams. No stream stays silent
 * for longer than `interval` milliseconds: the timer ticks at half of it, and a stream that was silent for a whole tick is
 * pinged. `interval: 0` watches nothing.
 */
export function keepAlive(options: { readonly interval: number }, components: { readonly clock: Clock }): KeepAlive {
  const { clock } = components;
  const half = options.interval / 2;
  const entries: Entry[] = [];
  let timer: Timer | undefined;

  const tick = (): void => {
    timer = entries.length === 0 ? undefined : clock.timer(half, tick);
    for (const entry of [...entries]) {
      if (entry.quiet && entry.at >= 0) entry.ping();
      entry.quiet = true;
    }
  };

  return {
    get streams() {
      return entries.length;
    },
    watch(ping) {
      if (half <= 0) return UNWATCHED;
      const entry: Entry = { ping, quiet: false, at: entries.length };
      entries.push(entry);
      timer ??= clock.timer(half, tick);
      return {
        touch() {
          entry.quiet = false;
        },
        stop() {
          remove(entries, entry);
          if (entries.length > 0) return;
          timer?.cancel();
          timer = undefined;
        },
      };
    },
    close() {
      for (const entry of entries.splice(0)) entry.at = -1;
      timer?.cancel();
      timer = undefined;
    },
  };
}

/** The last entry takes the place of one that leaves. */
function remove(entries: Entry[], entry: Entry): void {
  if (entry.at < 0) return;
  const last = entries.pop();
  if (last !== undefined && last !== entry) {
    entries[entry.at] = last;
    last.at = entry.at;
  }
  entry.at = -1;
}

const UNWATCHED: Watched = { touch() {}, stop() {} };
