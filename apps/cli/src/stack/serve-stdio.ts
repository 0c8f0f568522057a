import type { Clock, Handler } from '@shadowcat/kernel';
import { ownStdio } from '@shadowcat/transport-stdio';
import { drainLines, serveLine } from '@shadowcat/wire';
import type { Io } from './contract.js';
import type { Owned } from './owned.js';
import { stopped } from './stopped.js';
import { counter } from './system.js';

export interface StdioServing {
  readonly io: Io;
  readonly clock: Clock;
  readonly owned: Owned;
  /** How long what is in flight may take after `io.stop`. */
  readonly drainMs: number;
  /** How long it may take after the client closed stdin; default: as long as it takes. */
  readonly lingerMs?: number;
  /** Told when the client has closed stdin: nothing comes from it any more. */
  readonly closed?: () => void;
}

/** Serves the one client on our own stdin and stdout, until it closes stdin or `io.stop` fires and nothing is in flight. */
export async function serveStdio(handler: Handler, serving: StdioServing): Promise<void> {
  const { io, clock, owned, drainMs, lingerMs, closed } = serving;
  const { log } = io;
  const connection = ownStdio({ input: process.stdin, output: process.stdout }, { clock, log });
  const line = serveLine(connection, handler, { clock, log, newId: counter('x') });
  owned.add('the line', () => line[Symbol.asyncDispose]());
  const tooLong = Promise.withResolvers<void>();
  const linger = (): void => {
    closed?.();
    if (lingerMs === undefined) return;
    const timer = clock.timer(lingerMs, tooLong.resolve);
    void line.done.then(() => timer.cancel());
  };
  process.stdin.once('end', linger);
  await Promise.race([line.done, stopped(io.stop), tooLong.promise]);
  await drainLines([line], drainMs, clock);
}
