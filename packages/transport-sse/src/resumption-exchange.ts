import type { Body, Context, Exchange, RequestHead } from '@shadowcat/kernel';

/**
 * An exchange whose signal follows its client's until the answer is a kept stream: from then on the client's leaving means
 * nothing to the upstream (2025-11-25, Transports: "Disconnection SHOULD NOT be interpreted as the client cancelling").
 */
export class LooseExchange implements Exchange {
  readonly id: string;
  readonly head: RequestHead;
  readonly body: Body;
  readonly context: Context;
  readonly #original: Exchange;
  #controller: AbortController | undefined;
  #loose = false;

  constructor(original: Exchange, head: RequestHead = original.head) {
    this.id = original.id;
    this.head = head;
    this.body = original.body;
    this.context = original.context;
    this.#original = original;
  }

  /** Made on first use, as that of the original. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (!this.#loose) this.#follow(this.#original.signal);
    }
    return this.#controller.signal;
  }

  /** The client's leaving is not passed on any more. */
  loosen(): void {
    this.#loose = true;
    if (this.#controller !== undefined) this.#original.signal.removeEventListener('abort', this.#pass);
  }

  #follow(signal: AbortSignal): void {
    if (signal.aborted) this.#pass();
    else signal.addEventListener('abort', this.#pass, { once: true });
  }

  readonly #pass = (): void => this.#controller?.abort(this.#original.signal.reason);
}
