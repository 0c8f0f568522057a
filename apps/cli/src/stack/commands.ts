import { type Log, ProxyError } from '@shadowcat/kernel';
import { createSpares, type Spares } from '@shadowcat/pool';
import {
  type ChildConnection,
  type ChildExit,
  clearLists,
  isTransientSpawnError,
  openChild,
  openWatcher,
  type Watcher,
} from '@shadowcat/transport-stdio';
import type { OpeningGate } from '@shadowcat/upstream';
import type { CommandTarget, ProxyConfig } from './contract.js';
import { type LineComponents, type LineTarget, lineTarget } from './lines.js';
import type { Owned } from './owned.js';

/** Takes what a child says beside its messages, and what is to be said of a session; `session` where it is known whose it is. */
export type Note = (session: string | undefined, kind: 'raw' | 'err' | 'note', text: string) => void;

export interface CommandComponents extends LineComponents {
  readonly watcher: Watcher;
  /** Judges the starts of children. */
  readonly gate: OpeningGate;
  /** The recorder's, if there is one. */
  readonly note: Note | undefined;
  /** Told when a child has ended: its exit code, or the signal that ended it. */
  readonly exited: (reason: string) => void;
}

/** Figures of a command's children. */
export interface ChildStats {
  readonly alive: number;
  /** Those of them that nobody has asked for yet. */
  readonly spares: number;
  readonly started: number;
  /** Starts that failed. */
  readonly failed: number;
}

export interface ChildTarget extends LineTarget {
  children(): ChildStats;
}

/** A child and whose it is: a spare is nobody's until it is taken. */
interface Started {
  readonly child: ChildConnection;
  session: string | undefined;
}

/**
 * Makes the one watcher of all children of this process, who lists them in `listFolder` for the next start, and ends what the
 * lists of killed processes still name. To be opened before the commands, so that it is closed after them.
 */
export function watchChildren(
  listFolder: string,
  { log, owned }: { readonly log: Log; readonly owned: Owned },
): Watcher {
  const watcher = openWatcher({ log, listFolder });
  owned.add('the watcher of children', () => watcher[Symbol.asyncDispose]());
  const leftovers = clearLists(listFolder, { log });
  owned.add('the end of what a killed proxy left behind', async () => void (await leftovers));
  return watcher;
}

/** A command whose children are pooled. Spares are started at once; without them the first child when it is needed. */
export function commandTarget(target: CommandTarget, config: ProxyConfig, components: CommandComponents): ChildTarget {
  const { clock, log } = components;
  const starter = new Starter(target, config, components);
  const spares: Spares<Started> = createSpares<Started>(
    { count: config.children.warm },
    {
      open: (signal) => starter.start(signal),
      close: async ({ child }) => child[Symbol.asyncDispose](),
      watch: ({ child }, gone) => void child.exit.then((exit) => gone(unused(target.name, exit))),
      room: () => config.children.max - lines.stats().open - spares.ready - spares.opening,
      clock,
      log,
    },
  );
  const lines = lineTarget(
    {
      name: target.name,
      config,
      open: async (session, signal) => {
        const started = await spares.take(signal);
        started.session = session;
        return started.child;
      },
      closed: () => spares.refill(),
      transient: isTransientSpawnError,
      gate: components.gate,
    },
    components,
  );
  spares.refill();
  return {
    ...lines,
    children: () => ({ ...starter.stats, spares: spares.ready }),
    health: async () => {
      const health = await lines.health();
      const trouble = spares.trouble?.message;
      return {
        ...health,
        ...(config.children.warm === 0 ? {} : { spares: spares.ready }),
        ...(trouble === undefined || health.detail !== undefined ? {} : { detail: trouble }),
      };
    },
    close: async () => {
      await Promise.all([spares[Symbol.asyncDispose](), lines.close()]);
    },
  };
}

/** Starts children, and counts them. */
class Starter {
  readonly #target: CommandTarget;
  readonly #config: ProxyConfig;
  readonly #components: CommandComponents;
  #alive = 0;
  #started = 0;
  #failed = 0;

  constructor(target: CommandTarget, config: ProxyConfig, components: CommandComponents) {
    this.#target = target;
    this.#config = config;
    this.#components = components;
  }

  get stats(): Omit<ChildStats, 'spares'> {
    return { alive: this.#alive, started: this.#started, failed: this.#failed };
  }

  async start(signal: AbortSignal): Promise<Started> {
    const { name, command, args, cwd, env } = this.#target;
    const { clock, log, watcher, note, exited } = this.#components;
    const owner: { session: string | undefined } = { session: undefined };
    let child: ChildConnection;
    try {
      child = await openChild(
        { name, command, args, cwd, env, maxLine: this.#config.children.maxLine },
        {
          clock,
          log,
          watcher,
          onStderr: (line, pid) => {
            log.info({ pid }, `${name}: ${line}`);
            note?.(owner.session, 'err', line);
          },
          // The transport logs the first few of them.
          onGarbage: (line) => note?.(owner.session, 'raw', line),
        },
        signal,
      );
    } catch (error) {
      this.#failed += 1;
      throw error;
    }
    this.#started += 1;
    this.#alive += 1;
    log.info({ target: name, pid: child.pid }, `${name} was started`);
    void child.exit.then(({ code, signal: by }) => {
      this.#alive -= 1;
      exited(by ?? `code ${code}`);
    });
    return Object.assign(owner, { child });
  }
}

function unused(name: string, { code, signal }: ChildExit): ProxyError {
  const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
  return new ProxyError('child_exited', `the server command (${name}) ${how} before anybody had asked it anything`);
}
