import { type Exchange, ProxyError, type Reply, reply, withReply } from '@shadowcat/kernel';
import type { Call, LineClient, SessionHandle } from '@shadowcat/wire';
import { type Deadline, goesOn, openShared, reopen } from './line-handshake.js';

const KEY_PREFIX = 'request:';
const ACCEPTED = { status: 202, headers: {} } as const;

export interface SingleLinesParts {
  /** Asks on a line of its own for this key; the answer borrows it. */
  leased(key: string, exchange: Exchange, ask: (line: LineClient) => Promise<Reply>): Promise<Reply>;
  /** Closes the line of a key. Never rejects. */
  evict(key: string): Promise<void>;
  readonly deadline: Deadline;
}

/** One line for each exchange: for commands that are started anew for each request. */
export class SingleLines {
  readonly #parts: SingleLinesParts;
  /** Lines of exchanges in flight, by session. */
  readonly #lines = new Map<string, Set<LineClient>>();
  /** Whether the command ends after one answer, once that is known. */
  #singleShot: boolean | undefined;
  #requests = 0;

  constructor(parts: SingleLinesParts) {
    this.#parts = parts;
  }

  async serve(exchange: Exchange, call: Call, session: SessionHandle | undefined): Promise<Reply> {
    if (call.verb === 'stream') throw noStream();
    if (!call.expectsAnswer) return session === undefined ? reply(ACCEPTED) : this.#tell(exchange, call, session);
    return this.#ownLine(exchange, session, async (line) => {
      if (call.method === 'initialize' || this.#singleShot === true) return line.exchange(exchange);
      if (await this.#outlivesHandshake(line, session)) return line.exchange(exchange);
      // A command that ends after its first answer can only be asked without a handshake, and only a fresh one.
      return this.#ownLine(exchange, session, (fresh) => fresh.exchange(exchange));
    });
  }

  /** Initialises a line. False when the command turns out to end after one answer; learnt once. */
  async #outlivesHandshake(line: LineClient, session: SessionHandle | undefined): Promise<boolean> {
    const { deadline } = this.#parts;
    try {
      await (session === undefined ? openShared(line, deadline) : reopen(line, session, deadline));
      if (this.#singleShot === undefined) await goesOn(line, deadline);
    } catch (error) {
      if (this.#singleShot === false || !endedAfterAnAnswer(line)) throw error;
      this.#singleShot = true;
      return false;
    }
    this.#singleShot = false;
    return true;
  }

  /** A line that lives as long as the answer of this exchange. */
  async #ownLine(
    exchange: Exchange,
    session: SessionHandle | undefined,
    ask: (line: LineClient) => Promise<Reply>,
  ): Promise<Reply> {
    const key = `${KEY_PREFIX}${this.#requests++}`;
    let forget = (): void => {};
    const end = (): Promise<void> => {
      forget();
      return this.#parts.evict(key);
    };
    try {
      const answer = await this.#parts.leased(key, exchange, (line) => {
        if (session !== undefined) forget = this.#keep(session.id, line);
        return ask(line);
      });
      return withReply(answer, { dispose: end });
    } catch (error) {
      await end();
      throw error;
    }
  }

  /** Returns how to forget it. */
  #keep(session: string, line: LineClient): () => void {
    const lines = this.#lines.get(session) ?? new Set();
    this.#lines.set(session, lines.add(line));
    return () => {
      lines.delete(line);
      if (lines.size === 0 && this.#lines.get(session) === lines) this.#lines.delete(session);
    };
  }

  /** What expects no answer concerns a request in flight, on the line that carries it, or nothing. */
  async #tell(exchange: Exchange, { message }: Call, session: SessionHandle): Promise<Reply> {
    const lines = [...(this.#lines.get(session.id) ?? [])];
    const line = message?.kind === 'response' ? lines.find((candidate) => candidate.expects(message)) : undefined;
    if (line !== undefined) return line.exchange(exchange);
    if (message?.method === 'notifications/cancelled')
      await Promise.all(lines.map((candidate) => candidate.exchange(exchange)));
    return reply(ACCEPTED);
  }
}

/** A good end after it had said something: no crash. */
function endedAfterAnAnswer({ over, stats }: LineClient): boolean {
  const { exitCode = 0, signal } = (over?.data ?? {}) as { exitCode?: number; signal?: string };
  return over !== undefined && stats.received > 0 && exitCode === 0 && signal === undefined;
}

function noStream(): ProxyError {
  const message = 'a command that is started for each request has no stream of its own';
  return new ProxyError('method_not_allowed', message, { data: { allow: ['POST', 'DELETE'] } });
}
