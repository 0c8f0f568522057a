import type { Clock, Log } from '@shadowcat/kernel';
import { isTransientSpawnError, openChild, openWatcher, type Watcher } from '@shadowcat/transport-stdio';
import type { OnRecovery } from '@shadowcat/wire';
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
  readonly recovered: OnRecovery;
}

/** A command whose children are pooled; the first one is started when it is needed. */
export function commandTarget(target: CommandTarget, config: ProxyConfig, components: CommandComponents): LineTarget {
  const { clock, log, owned, note, exited, recovered } = components;
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
        // The transport logs the first few of them.
        onGarbage: (line) => note?.(session, 'raw', line),
      },
      signal,
    );
    void child.exit.then(({ code, signal: by }) => exited(by ?? `code ${code}`));
    return child;
  };
  return lineTarget(
    {
      name: target.name,
      config,
      open,
      transient: isTransientSpawnError,
    },
    { clock, log, recovered },
  );
}
