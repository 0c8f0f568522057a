import { ProxyError } from '@shadowcat/kernel';
import { Tinypool } from 'tinypool';
import type { Outcome } from './task.js';

export interface OffloadOptions {
  /** The module whose exports are made by {@link task}. Loaded on each worker. */
  readonly module: URL;
  /** Workers at most. Default 1. */
  readonly threads?: number;
  /** Milliseconds after which a worker without work ends. Default 1000. */
  readonly idleMs?: number;
  /** Node's own options for the workers. */
  readonly execArgv?: readonly string[];
}

/** Heavy work on worker threads, so that the event loop keeps its turns. Owns its workers. */
export interface Offload extends AsyncDisposable {
  /**
   * Runs the module's export `name` with `input` on a worker. Rejects with what the task threw, with `cancelled` when
   * `signal` fires first (the worker is ended), with `draining` after the end.
   */
  run<T>(name: string, input: unknown, options?: { readonly signal?: AbortSignal }): Promise<T>;
  /** Ends the workers, whatever they do, and waits until they are gone. Idempotent; the same as disposing. */
  close(): Promise<void>;
}

/** No worker is started before the first `run`. */
export function createOffload(options: OffloadOptions): Offload {
  return new WorkerPool(options);
}

class WorkerPool implements Offload {
  readonly #options: OffloadOptions;
  #pool: Tinypool | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: OffloadOptions) {
    this.#options = options;
  }

  async run<T>(name: string, input: unknown, options: { readonly signal?: AbortSignal } = {}): Promise<T> {
    if (this.#closing !== undefined) throw new ProxyError('draining', 'the workers are closed');
    const { signal } = options;
    signal?.throwIfAborted();
    let outcome: Outcome<T>;
    try {
      outcome = (await this.#workers().run(input, { name, ...(signal === undefined ? {} : { signal }) })) as Outcome<T>;
    } catch (thrown) {
      if (signal?.aborted === true) throw new ProxyError('cancelled', 'the work was cancelled', { cause: thrown });
      if (this.#closing !== undefined) throw new ProxyError('draining', 'the workers were closed', { cause: thrown });
      throw ProxyError.from(thrown);
    }
    if (outcome.ok) return outcome.value;
    const { code, message, data } = outcome;
    throw new ProxyError(code, message, data === undefined ? {} : { data });
  }

  close(): Promise<void> {
    this.#closing ??= this.#pool?.destroy() ?? Promise.resolve();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #workers(): Tinypool {
    const { module, threads = 1, idleMs = 1000, execArgv } = this.#options;
    this.#pool ??= new Tinypool({
      filename: module.href,
      runtime: 'worker_threads',
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: idleMs,
      ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
    });
    return this.#pool;
  }
}
