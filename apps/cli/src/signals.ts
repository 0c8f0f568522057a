import { constants } from 'node:os';
import type { StopOptions, Stopping } from './host.js';

/** The signals that mean: please end. A terminal that is closed says SIGHUP; without one it may be asked to reload by it. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
type StopSignal = (typeof SIGNALS)[number];

/** How long after the drain everything must be closed. */
export const CLOSING_MS = 8000;

/** What is needed of `process`. */
export interface SignalSource {
  on(signal: StopSignal, listener: () => void): unknown;
  off(signal: StopSignal, listener: () => void): unknown;
  exit(code: number): void;
  /** Names of what keeps the process alive. */
  getActiveResourcesInfo(): readonly string[];
}

/**
 * The first signal asks for an orderly end, the second ends the process at once with 128 and the signal's number. If the
 * orderly end takes longer than the drain and {@link CLOSING_MS}, the process ends with 1 and the log says what was left.
 */
export function stopOnSignals(source: SignalSource, { drainMs, log, reload }: StopOptions): Stopping {
  const stop = new AbortController();
  let watchdog: NodeJS.Timeout | undefined;
  const listeners = SIGNALS.map((signal) => {
    const listener = (): void => {
      if (signal === 'SIGHUP' && reload !== undefined) return reload();
      if (stop.signal.aborted) {
        source.exit(128 + constants.signals[signal]);
        return;
      }
      log.info({ signal, drainMs }, `${signal}: finishing what is in flight; a second signal exits at once`);
      watchdog = setTimeout(() => {
        log.error(
          { left: tally(source.getActiveResourcesInfo()) },
          'the shutdown took too long: exiting with things left open',
        );
        source.exit(1);
      }, drainMs + CLOSING_MS);
      watchdog.unref();
      stop.abort(signal);
    };
    source.on(signal, listener);
    return { signal, listener };
  });
  return {
    signal: stop.signal,
    [Symbol.dispose]() {
      clearTimeout(watchdog);
      for (const { signal, listener } of listeners) source.off(signal, listener);
    },
  };
}

/**
 * After everything was closed: if something keeps the process alive nevertheless, names it and exits. Does not keep the
 * process alive itself.
 */
export function exitThough(
  source: SignalSource,
  options: { code: number; tell: (text: string) => void },
): NodeJS.Timeout {
  const timer = setTimeout(() => {
    const left = Object.entries(tally(source.getActiveResourcesInfo())).map(([name, count]) => `${count} ${name}`);
    options.tell(`shadowcat: ended, but these were still open: ${left.join(', ')}\n`);
    source.exit(options.code);
  }, CLOSING_MS);
  return timer.unref();
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
