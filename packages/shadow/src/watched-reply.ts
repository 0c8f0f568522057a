import { Body, type ByteSource, type Reply, withHeaders, withReply } from '@shadowcat/kernel';
import type { RpcId } from '@shadowcat/wire';
import { type Answer, AnswerFinder } from './answer-in.js';

/**
 * The same reply, byte for byte and piece by piece; `seen` is told once what its answer was: as soon as it is there, or that there
 * will be none.
 */
export function watchedReply(reply: Reply, id: RpcId, seen: (answer: Answer) => void): Reply {
  const { framing, rewritten } = reply.body;
  const finder = new AnswerFinder(id, framing);
  let told = false;
  const tell = (answer: Answer | undefined): void => {
    if (told || answer === undefined) return;
    told = true;
    seen(answer);
  };
  const source: ByteSource = {
    [Symbol.asyncIterator]: () => new Watch(reply.body.bytes()[Symbol.asyncIterator](), finder, tell),
  };
  const { status, headers } = reply.head;
  return withReply(reply, {
    // A body that is read through another does not tell any more that it is not as long as it was.
    ...(rewritten ? { head: { status, headers: withHeaders(headers, { 'content-length': undefined }) } } : {}),
    body: Body.stream(source, framing),
    dispose: () => tell('none'),
  });
}

class Watch implements AsyncIterator<Uint8Array> {
  readonly #bytes: AsyncIterator<Uint8Array>;
  readonly #finder: AnswerFinder;
  readonly #tell: (answer: Answer | undefined) => void;
  readonly #look = (result: IteratorResult<Uint8Array>): IteratorResult<Uint8Array> => {
    if (result.done === true) this.#tell(this.#finder.end());
    else {
      this.#finder.push(result.value);
      this.#tell(this.#finder.answer);
    }
    return result;
  };
  readonly #fail = (error: unknown): never => {
    this.#tell('none');
    throw error;
  };

  constructor(bytes: AsyncIterator<Uint8Array>, finder: AnswerFinder, tell: (answer: Answer | undefined) => void) {
    this.#bytes = bytes;
    this.#finder = finder;
    this.#tell = tell;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    return this.#bytes.next().then(this.#look, this.#fail);
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    this.#tell('none');
    return this.#bytes.return?.() ?? Promise.resolve({ done: true, value: undefined });
  }
}
