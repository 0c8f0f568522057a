import { type Connection, ProxyError } from '@shadowcat/kernel';
import type { Connect, Sent, ServerEar, ServerLine } from '@shadowcat/tape';
import { type Message, readLine } from '@shadowcat/wire';
import { batchText } from './client-exchange.js';

/** Clients of a server at the end of a line: a command of ours, a WebSocket, a legacy HTTP+SSE pair. Each opens its own. */
export function lineConnect(open: () => Promise<Connection>): Connect {
  return async (ear) => new PlainLine(await open(), ear);
}

class PlainLine implements ServerLine {
  readonly secrets: readonly string[] = [];
  readonly #connection: Connection;
  #closing = false;

  constructor(connection: Connection, ear: ServerEar) {
    this.#connection = connection;
    connection.listen({
      message: (text) => {
        for (const message of readLine(text)) ear.message(message);
      },
      closed: (reason) => {
        if (!this.#closing) ear.lost(reason ?? new ProxyError('upstream_closed', 'the server closed the connection'));
      },
    });
  }

  async send({ text }: Message): Promise<Sent> {
    await this.#connection.send(text);
    return { over: false };
  }

  async sendBatch(messages: readonly Message[]): Promise<Sent> {
    await this.#connection.send(batchText(messages));
    return { over: false };
  }

  /** What the server says of its own accord comes on the same line. */
  async listen(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    await this.#connection[Symbol.asyncDispose]();
  }
}
