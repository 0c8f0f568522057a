import type { IncomingMessage } from 'node:http';
import { type ByteSource, concat, ProxyError } from '@shadowcat/kernel';

/**
 * The body of a request as it arrives. `collect` listens to the stream itself, because iterating a node stream costs
 * about as much CPU as all the rest of a small exchange. More than `limit` bytes are refused: at once when the client
 * declared them, else as soon as they came. Whoever watches the connection calls {@link RequestBody.fail} when it breaks.
 */
export class RequestBody implements ByteSource {
  readonly #request: IncomingMessage;
  readonly #limit: number;
  #reject: ((error: ProxyError) => void) | undefined;
  #failure: ProxyError | undefined;

  constructor(request: IncomingMessage, limit: number) {
    this.#request = request;
    this.#limit = limit;
  }

  /** The client is gone: whoever waits for more gets `error`. */
  fail(error: ProxyError): void {
    this.#failure ??= error;
    this.#reject?.(error);
  }

  collect(limit: number): Promise<Uint8Array> {
    const most = Math.min(limit, this.#limit);
    return new Promise((resolve, reject) => {
      if (this.#refusal(most, reject)) return;
      this.#reject = reject;
      const chunks: Uint8Array[] = [];
      let size = 0;
      const request = this.#request;
      request.on('data', (chunk: Uint8Array) => {
        size += chunk.length;
        if (size <= most) chunks.push(chunk);
        else {
          request.pause();
          reject(tooLarge(most));
        }
      });
      request.on('end', () => resolve(concat(chunks, size)));
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    this.#refusal(this.#limit, (error) => {
      throw error;
    });
    let size = 0;
    try {
      for await (const chunk of this.#request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
        size += chunk.length;
        if (size > this.#limit) throw tooLarge(this.#limit);
        yield chunk;
      }
    } catch (error) {
      throw this.#failure ?? error;
    }
  }

  #refusal(limit: number, refuse: (error: ProxyError) => void): boolean {
    const declared = this.#request.headers['content-length'];
    const error = this.#failure ?? (declared !== undefined && Number(declared) > limit ? tooLarge(limit) : undefined);
    if (error === undefined) return false;
    refuse(error);
    return true;
  }
}

function tooLarge(limit: number): ProxyError {
  return new ProxyError(
    'body_too_large',
    `the request body is larger than ${limit} bytes; send less, or raise the proxy's body limit`,
  );
}
