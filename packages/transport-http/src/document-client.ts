import { type Clock, ProxyError } from '@shadowcat/kernel';
import { HttpClient } from './http-client.js';

export interface DocumentClientOptions {
  /** A server; documents come from its origin only. */
  readonly url: string;
  /** Milliseconds for all of a document. Default 5 s. */
  readonly timeout?: number;
  /** Bytes that a document may have. Default 64 KiB. */
  readonly limit?: number;
}

/**
 * Gets small JSON documents, such as OAuth metadata, from one origin. Sends nothing of any client's and follows no redirect,
 * so it cannot be led elsewhere. Close it when nobody asks any more.
 */
export class DocumentClient {
  readonly #client: HttpClient;
  readonly #clock: Clock;
  readonly #timeout: number;
  readonly #limit: number;

  constructor(options: DocumentClientOptions, { clock }: { readonly clock: Clock }) {
    const { url, timeout = 5_000, limit = 64 * 1024 } = options;
    this.#client = new HttpClient({ url: new URL(url), connectTimeout: timeout });
    this.#clock = clock;
    this.#timeout = timeout;
    this.#limit = limit;
  }

  /**
   * The bytes at `path` (path and query); `undefined` when the answer is anything but a 200 of bearable size. Rejects with
   * a `ProxyError` when the server cannot be reached or does not answer in time.
   */
  async get(path: string): Promise<Uint8Array | undefined> {
    const late = new AbortController();
    const timer = this.#clock.timer(this.#timeout, () => {
      const problem = `${this.#client.name} did not send its document ${path} within ${this.#timeout} ms`;
      late.abort(new ProxyError('upstream_timeout', problem));
    });
    try {
      await using answer = await this.#client.send({
        method: 'GET',
        path,
        headers: ['accept', 'application/json', 'accept-encoding', 'identity'],
        signal: late.signal,
        firstByteTimeout: this.#timeout,
      });
      return answer.head.status === 200 ? await answer.body.collect(this.#limit) : undefined;
    } catch (error) {
      const { code } = ProxyError.from(error);
      // A redirect, a compressed answer, or too much of one: not a document to pass on.
      if (code === 'upstream_protocol' || code === 'body_too_large') return undefined;
      throw error;
    } finally {
      timer.cancel();
    }
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
