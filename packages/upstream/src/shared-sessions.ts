import type { LineClient, SessionHandle } from '@shadowcat/wire';
import { restore, type Wanted } from './line-handshake.js';

/** From the one that says most: a line has one level for all its sessions. */
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

/** The sessions that use one line together, and the line that each of them used last. */
export class SharedSessions {
  readonly #sessions = new Map<SessionHandle, LineClient | undefined>();

  add(session: SessionHandle): void {
    if (!this.#sessions.has(session)) this.#sessions.set(session, undefined);
  }

  /** The session was opened on this line. */
  opened(session: SessionHandle, line: LineClient): void {
    this.#sessions.set(session, line);
  }

  remove(session: SessionHandle): void {
    this.#sessions.delete(session);
  }

  /** Whether the session used a line before that is not this one. */
  lost(session: SessionHandle, line: LineClient): boolean {
    const last = this.#sessions.get(session);
    return last !== undefined && last !== line;
  }

  joined(session: SessionHandle, line: LineClient): boolean {
    return this.#sessions.get(session) === line;
  }

  /** Those that used another line before. */
  orphans(line: LineClient): SessionHandle[] {
    return [...this.#sessions.keys()].filter((session) => this.lost(session, line));
  }

  /** Whether another session than this one is subscribed to the resource. */
  isWanted(uri: unknown, except: SessionHandle): boolean {
    for (const session of this.#sessions.keys())
      if (session !== except && typeof uri === 'string' && session.restore.subscriptions.includes(uri)) return true;
    return false;
  }

  /**
   * Asks the server for what these sessions had asked for on another line; from now on they use this one. Subscriptions are
   * those of all of them, the log level is the one that says most.
   */
  async join(line: LineClient, sessions: readonly SessionHandle[], signal?: AbortSignal): Promise<void> {
    for (const session of sessions) this.#sessions.set(session, line);
    await restore(line, wantedBy(sessions), signal);
  }
}

function wantedBy(sessions: readonly SessionHandle[]): Wanted {
  const levels = sessions.map(({ restore: { logLevel } }) => logLevel);
  return {
    logLevel: LEVELS.find((level) => levels.includes(level)),
    subscriptions: [...new Set(sessions.flatMap(({ restore: { subscriptions } }) => subscriptions))],
  };
}
