import { Frame } from '@shadowcat/kernel';
import type { JsonObject, Message, RpcId } from './jsonrpc.js';
import { readLine } from './read-messages.js';
import { sseFraming } from './sse-framing.js';

/** The answers a stream still owes: one for each request of its exchange. It may bring no others. */
export class OwedAnswers {
  readonly #asked = new Set<RpcId>();
  readonly #idTexts = new Map<RpcId, string>();

  constructor(messages: readonly Pick<Message, 'kind' | 'id' | 'idText'>[]) {
    for (const { kind, id, idText } of messages) {
      if (kind !== 'request' || id === undefined || idText === undefined) continue;
      this.#idTexts.set(id, idText);
      this.#asked.add(id);
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

  /** Whether `bytes`, a whole SSE stream, has all that is owed and no answer that is not. Strikes out what it has. */
  settledBy(bytes: Uint8Array): boolean {
    const frames = sseFraming.decoder().push(bytes);
    const own = frames.filter((frame) => this.admit(frame) === frame);
    return this.settled && own.length === frames.length;
  }

  /**
   * What of `frame` is for this exchange: all of it but answers to requests that it did not send. Strikes out what it
   * answers. A frame that nothing is left of keeps its event id, from which its client may want to go on.
   */
  admit(frame: Frame): Frame | undefined {
    if (this.#asked.size === 0 || !frame.text) return frame;
    this.note(frame);
    const message = frame.message as JsonObject | readonly JsonObject[] | undefined;
    if (!Array.isArray(message)) return this.#isForeign(message) ? withoutMessage(frame) : frame;
    if (!message.some((each) => this.#isForeign(each))) return frame;
    const texts = readLine(frame.text).flatMap(({ value, text }) => (this.#isForeign(value) ? [] : [text]));
    return texts.length === 0 ? withoutMessage(frame) : encoded(frame.replace(`[${texts.join(',')}]`));
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

  /** An error without an id may be about any request. */
  #isForeign(message: unknown): boolean {
    if (typeof message !== 'object' || message === null) return false;
    const { id, method } = message as JsonObject;
    if (method !== undefined || (typeof id !== 'string' && typeof id !== 'number')) return false;
    return !this.#asked.has(id);
  }
}

function withoutMessage({ sse }: Frame): Frame | undefined {
  return sse?.id === undefined ? undefined : encoded(new Frame({ text: null, sse: { id: sse.id } }));
}

function encoded(frame: Frame): Frame {
  const bytes = sseFraming.encode(frame);
  return new Frame({ bytes, text: frame.text ?? null, ...(frame.sse && { sse: frame.sse }) });
}
