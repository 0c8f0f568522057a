import type { Frame, FrameDecoder, Framing, Reply } from '@shadowcat/kernel';
import { asObject, type JsonObject, type RpcId } from '@shadowcat/wire';

/** The largest answer that is compared, in bytes, with what came on its stream before it. */
const MOST_COMPARED = 1024 * 1024;

/** What a reply held: the answer to a request, nothing of that kind, or more than is compared. */
export type Answer = JsonObject | 'none' | 'too-large';

/** Whether a server itself has answered: what says who may ask, how often or where, and what a gateway says, is no answer. */
export function isAnswered(status: number): boolean {
  const refused = status === 401 || status === 403 || status === 429;
  return !refused && status < 500 && (status < 300 || status > 399);
}

/** Finds the answer to a request in the bytes of a reply, in whichever pieces they come. Never throws. */
export class AnswerFinder {
  readonly #id: RpcId;
  readonly #decoder: FrameDecoder;
  /** Told of every other message. */
  readonly #other: (message: JsonObject) => void;
  #size = 0;
  #answer: Answer | undefined;

  constructor(id: RpcId, framing: Framing, other: (message: JsonObject) => void = () => {}) {
    this.#id = id;
    this.#decoder = framing.decoder();
    this.#other = other;
  }

  /** Once it is known. */
  get answer(): Answer | undefined {
    return this.#answer;
  }

  push(bytes: Uint8Array): void {
    if (this.#answer !== undefined) return;
    this.#size += bytes.length;
    if (this.#size > MOST_COMPARED) this.#answer = 'too-large';
    else this.#look(() => this.#decoder.push(bytes));
  }

  /** There is no more. */
  end(): Answer {
    if (this.#answer === undefined) this.#look(() => this.#decoder.end());
    this.#answer ??= 'none';
    return this.#answer;
  }

  #look(frames: () => readonly Frame[]): void {
    try {
      for (const { message } of frames()) {
        const value = asObject(message);
        if (value === undefined) continue;
        if (this.#isAnswer(value)) this.#answer ??= value;
        else this.#other(value);
      }
    } catch {
      // A limit of the framing; whoever passes the bytes on has limits of its own.
      this.#answer ??= 'too-large';
    }
  }

  /** An error without an id is about the only request that there is. */
  #isAnswer(message: JsonObject): boolean {
    if (message['method'] !== undefined) return false;
    const { id } = message;
    return id === this.#id || ((id === null || id === undefined) && message['error'] !== undefined);
  }
}

/** The answer in a body that is whole. */
export function answerOf(bytes: Uint8Array, framing: Framing, id: RpcId): Answer {
  const finder = new AnswerFinder(id, framing);
  finder.push(bytes);
  return finder.end();
}

/** Reads a reply to its answer, and disposes it. Rejects with what broke it. */
export async function answerIn(reply: Reply, id: RpcId, other?: (message: JsonObject) => void): Promise<Answer> {
  try {
    const finder = new AnswerFinder(id, reply.body.framing, other);
    for await (const bytes of reply.body.bytes()) {
      finder.push(bytes);
      if (finder.answer !== undefined) return finder.answer;
    }
    return finder.end();
  } finally {
    await reply[Symbol.asyncDispose]();
  }
}
