import { type Connection, type ConnectionSink, ProxyError } from '@shadowcat/kernel';
import { type Gate, outcomeOf, type Pass, unavailable } from '../member.js';

export interface OpeningGateOptions {
  /** The target's name, for messages. */
  readonly name: string;
  /** Whether clients that have nothing to do with each other use the line of this key. */
  readonly isShared: (key: string) => boolean;
}

/**
 * The gate of a target whose lines are servers of their own, such as children of a command. It is about opening them: what counts
 * against the target is that they cannot be opened, or are over before they have said anything. How a line ends that has worked
 * is the business of those who use it; only where that is everybody, a line that is held back after it ended again and again
 * counts as well. Lines that are there are used whatever the gate says.
 */
export class OpeningGate {
  readonly #options: OpeningGateOptions;
  readonly #gate: Gate;
  /** How many lines there are for each key, those being opened included. */
  readonly #lines = new Map<string, number>();
  #begun = 0;

  constructor(options: OpeningGateOptions, gate: Gate) {
    this.#options = options;
    this.#gate = gate;
  }

  /** Waits for a line of this key. Rejects with `upstream_unavailable` when that would have to be a new one, and none may be opened. */
  async acquire<T>(key: string, lease: () => Promise<T>): Promise<T> {
    if (this.#lines.has(key)) return lease();
    if (!this.#gate.available()) throw unavailable(this.#options.name, this.#gate.state());
    const begun = this.#begun;
    try {
      return await lease();
    } catch (thrown) {
      const error = ProxyError.from(thrown);
      if (begun === this.#begun && this.#options.isShared(key)) this.#gate.enter()?.done(outcomeOf(error), error);
      throw error;
    }
  }

  /** Opens a line, and sees how it does. */
  async open(key: string, connect: () => Promise<Connection>): Promise<Connection> {
    this.#begun += 1;
    const pass = this.#gate.enter();
    this.#count(key, 1);
    try {
      const connection = await connect();
      return new JudgedConnection(connection, pass, () => this.#count(key, -1));
    } catch (thrown) {
      const error = ProxyError.from(thrown, 'upstream_unreachable');
      this.#count(key, -1);
      pass?.done(outcomeOf(error), error);
      throw error;
    }
  }

  #count(key: string, change: 1 | -1): void {
    const count = (this.#lines.get(key) ?? 0) + change;
    if (count === 0) this.#lines.delete(key);
    else this.#lines.set(key, count);
  }
}

/** A connection that tells, once, whether it ever did its job. */
class JudgedConnection implements Connection {
  readonly name: string;
  readonly #connection: Connection;
  readonly #pass: Pass | undefined;
  #ended: (() => void) | undefined;
  #heard = false;

  constructor(connection: Connection, pass: Pass | undefined, ended: () => void) {
    this.name = connection.name;
    this.#connection = connection;
    this.#pass = pass;
    this.#ended = ended;
  }

  send(text: string): Promise<void> {
    return this.#connection.send(text);
  }

  listen(sink: ConnectionSink): void {
    this.#connection.listen({
      message: (text) => {
        if (!this.#heard) {
          this.#heard = true;
          this.#pass?.done('answered');
        }
        sink.message(text);
      },
      closed: (reason) => {
        this.#over(reason ?? new ProxyError('upstream_closed', `${this.name} ended before it had said anything`));
        sink.closed(reason);
      },
    });
  }

  destroy(reason: ProxyError): void {
    this.#over(reason);
    this.#connection.destroy(reason);
  }

  /** Ended by us, before it was asked anything, or while it was. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over(undefined);
    await this.#connection[Symbol.asyncDispose]();
  }

  #over(reason: ProxyError | undefined): void {
    this.#pass?.done(reason === undefined ? 'abandoned' : outcomeOf(reason), reason);
    this.#ended?.();
    this.#ended = undefined;
  }
}
