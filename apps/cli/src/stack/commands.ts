import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { type Clock, type Log, ProxyError } from '@shadowcat/kernel';
import { isTransientSpawnError, openChild, openWatcher, type Watcher } from '@shadowcat/transport-stdio';
import type { CommandTarget, ProxyConfig } from './contract.js';
import { type LineTarget, lineTarget } from './lines.js';
import type { Owned } from './owned.js';

/** Takes what a child says beside its messages; `session` where it is known whose child it is. */
export type Note = (session: string | undefined, kind: 'raw' | 'err', text: string) => void;

export interface CommandComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly owned: Owned;
  /** The recorder's, if there is one. */
  readonly note: Note | undefined;
  /** Told when a child has ended: its exit code, or the signal that ended it. */
  readonly exited: (reason: string) => void;
}

/** A command whose children are pooled. Throws `spawn_failed` at once when there is no such command. */
export async function commandTarget(
  target: CommandTarget,
  config: ProxyConfig,
  components: CommandComponents,
): Promise<LineTarget> {
  const { clock, log, owned, note, exited } = components;
  await findCommand(target);
  const watcher: Watcher = openWatcher({ log });
  owned.add('the watcher of children', () => watcher[Symbol.asyncDispose]());
  const open = async (session: string | undefined, signal: AbortSignal) => {
    const child = await openChild(
      {
        command: target.command,
        args: target.args,
        name: target.name,
        cwd: target.cwd,
        env: target.env,
        maxLine: config.children.maxLine,
      },
      {
        clock,
        log,
        watcher,
        onStderr: (line, pid) => {
          log.info({ pid }, `${target.name}: ${line}`);
          note?.(session, 'err', line);
        },
        onGarbage: (line, pid) => {
          log.warn({ pid, line: line.slice(0, 200) }, `${target.name} wrote something to stdout that is no message`);
          note?.(session, 'raw', line);
        },
      },
      signal,
    );
    void child.exit.then(({ code, signal: by }) => exited(by ?? `code ${code}`));
    return child;
  };
  return lineTarget(
    {
      name: target.name,
      children: config.children,
      limits: config.limits,
      sessionIdleMs: config.sessions.idleMs,
      drainMs: config.drainMs,
      open,
      transient: isTransientSpawnError,
    },
    { clock, log },
  );
}

/** Looks a command up as the system will, so that a misspelt one is said at once and not to the first client. */
async function findCommand({ command, cwd, env }: CommandTarget): Promise<void> {
  // On Windows the endings in PATHEXT decide; there the first client hears of it.
  if (process.platform === 'win32') return;
  const path = env['PATH'] ?? process.env['PATH'] ?? '';
  const places = command.includes('/')
    ? [isAbsolute(command) ? command : resolve(cwd, command)]
    : path.split(delimiter).map((folder) => join(folder, command));
  for (const place of places) if (await isExecutable(place)) return;
  const where = command.includes('/') ? `no executable file at ${places[0]}` : 'not found on PATH';
  throw new ProxyError('spawn_failed', `cannot start the server command "${command}": ${where}; check its name`);
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
