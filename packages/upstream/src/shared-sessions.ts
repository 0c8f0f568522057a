import { type Call, LEVELS, type LineClient, requestText, type SessionHandle } from '@shadowcat/wire';
import { type Deadline, inTime, restore, setLevelText, type Wanted } from './line-handshake.js';

/** The sessions that use one line together, and the line that each of them used last. */
export class SharedSessions {
  readonly #deadline: Deadline;
  readonly #sessions = new Map<SessionHandle, LineClient | undefined>();

  constructor(deadline: Deadline) {
    this.#deadline = deadline;
  }

  add(session: SessionHandle): void {
    if (!this.#sessions.has(session)) this.#sessions.set(session, undefined);
  }

  /** The session was opened on this line. */
  opened(session: SessionHandle, line: LineClient): void {
    this.#sessions.set(session, line);
  }

  /** The session is over; what only it was subscribed to is let go of. */
  remove(session: SessionHandle): void {
    const line = this.#sessions.get(session);
    this.#sessions.delete(session);
    if (line === undefined || line.over !== undefined) return;
    for (const uri of session.restore.subscriptions) {
      if (this.#isWanted(uri, session)) continue;
      // Nobody waits for it: a server that does not answer sends what nobody is given.
      line.ask(requestText('0', 'resources/unsubscribe', JSON.stringify({ uri }))).catch(() => {});
    }
  }

  joined(session: SessionHandle, line: LineClient): boolean {
    return this.#sessions.get(session) === line;
  }

  /** Those that used another line before. */
  orphans(line: LineClient): SessionHandle[] {
    return [...this.#sessions].flatMap(([session, last]) => (last === undefined || last === line ? [] : [session]));
  }

  /**
   * Whether what a session asks for would take away what another one asked for. Then the server is not asked, or asked for what
   * serves both.
   */
  async settles({ method, message, batch }: Call, session: SessionHandle, line: LineClient): Promise<boolean> {
    if (batch) return false;
    const params = message?.value['params'] as { readonly uri?: unknown; readonly level?: unknown } | null | undefined;
    if (method === 'resources/unsubscribe') return this.#isWanted(params?.uri, session);
    const asked = params?.level;
    if (method !== 'logging/setLevel' || typeof asked !== 'string' || !LEVELS.includes(asked)) return false;
    const level = loudest([asked, ...levelsOf(this.#on(line).filter((other) => other !== session))]);
    if (level === undefined || level === asked) return false;
    await inTime(line, this.#deadline, (signal) => line.ask(setLevelText(level), signal));
    return true;
  }

  /**
   * Asks the server for what these sessions had asked for on another line; from now on they use this one. Subscriptions are
   * those of all of them, the log level is the one that says most.
   */
  async join(line: LineClient, sessions: readonly SessionHandle[], signal?: AbortSignal): Promise<void> {
    for (const session of sessions) this.#sessions.set(session, line);
    const wanted = this.#wantedBy(sessions, line);
    if (signal !== undefined) await restore(line, wanted, signal);
    else await inTime(line, this.#deadline, (late) => restore(line, wanted, late));
  }

  #wantedBy(sessions: readonly SessionHandle[], line: LineClient): Wanted {
    const asked = levelsOf(sessions).some((level) => level !== undefined);
    return {
      logLevel: asked ? loudest(levelsOf(this.#on(line))) : undefined,
      subscriptions: [...new Set(sessions.flatMap(({ restore: { subscriptions } }) => subscriptions))],
    };
  }

  #on(line: LineClient): SessionHandle[] {
    return [...this.#sessions].flatMap(([session, last]) => (last === line ? [session] : []));
  }

  /** Whether another session than this one is subscribed to the resource. */
  #isWanted(uri: unknown, except: SessionHandle): boolean {
    for (const session of this.#sessions.keys())
      if (session !== except && typeof uri === 'string' && session.restore.subscriptions.includes(uri)) return true;
    return false;
  }
}

function levelsOf(sessions: readonly SessionHandle[]): readonly (string | undefined)[] {
  return sessions.map(({ restore: { logLevel } }) => logLevel);
}

function loudest(levels: readonly (string | undefined)[]): string | undefined {
  return LEVELS.find((level) => levels.includes(level));
}
