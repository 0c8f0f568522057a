import type { Log } from '@shadowcat/kernel';

/** Everything that one run has opened, closed in the reverse order of its opening. */
export class Owned implements AsyncDisposable {
  readonly #log: Log;
  readonly #closers: { readonly name: string; readonly close: () => void | PromiseLike<void> }[] = [];
  #closing: Promise<void> | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** `close` is called once; what it throws is logged and does not keep the others from being closed. */
  add(name: string, close: () => void | PromiseLike<void>): void {
    this.#closers.push({ name, close });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    for (const { name, close } of this.#closers.reverse()) {
      try {
        await close();
      } catch (error) {
        this.#log.error({ err: error }, `${name} could not be closed in good order`);
      }
    }
  }
}
