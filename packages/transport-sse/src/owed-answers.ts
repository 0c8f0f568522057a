import type { Frame } from '@shadowcat/kernel';
import { type JsonObject, type Message, type RpcId, sseFraming } from '@shadowcat/wire';

/** The answers a stream still owes: one for each request of its exchange. */
export class OwedAnswers {
  readonly #idTexts = new Map<RpcId, string>();

  constructor(messages: readonly Pick<Message, 'kind' | 'id' | 'idText'>[]) {
    for (const { kind, id, idText } of messages) {
      if (kind === 'request' && id !== undefined && idText !== undefined) this.#idTexts.set(id, idText);
    }
  }

  /** Whether nothing is owed (any more). */
  get settled(): boolean {
    return this.#idTexts.size === 0;
  }

  /** The ids of the requests without an answer, as the client wrote them. */
  get idTexts(): readonly string[] {
    return [...this.#idTexts.values()];
  }

  /** Whether `bytes`, a whole SSE stream, has all that is owed. Strikes out what it has. */
  settledBy(bytes: Uint8Array): boolean {
    for (const frame of sseFraming.decoder().push(bytes)) this.note(frame);
    return this.settled;
  }

  /** Strikes out the request that `frame` answers, if it answers one. Parses nothing once all is settled. */
  note(frame: Frame): void {
    if (this.settled || !frame.text) return;
    const message = frame.message as JsonObject | readonly JsonObject[] | undefined;
    if (Array.isArray(message)) for (const each of message as readonly JsonObject[]) this.#strike(each);
    else if (message !== undefined) this.#strike(message as JsonObject);
  }

  #strike(message: JsonObject): void {
    if (message === null || typeof message !== 'object' || message['method'] !== undefined) return;
    this.#idTexts.delete(message['id'] as RpcId);
  }
}
