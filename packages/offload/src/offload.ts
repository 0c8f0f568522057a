import { fileURLToPath } from 'node:url';
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
   * `signal` fires first (the worker is ended), with `internal` when no worker can run the module, with `draining` after the end.
   */
  run<T>(name: string, input: unknown, options?: { readonly signal?: AbortSignal }): Promise<T>;
  /** Ends the workers, whatever they do, and waits until they are gone. Idempotent; the same as disposing. */
  close(): Promise<void>;
}

/** No worker is started before the first `run`. */
export function createOffload(options: OffloadOptions): Offload {
  return new WorkerPool(options);
}

/** Workers, and why they are no use, once they are not. */
interface Workers {
  readonly pool: Tinypool;
  fault?: unknown;
}

class WorkerPool implements Offload {
  readonly #options: OffloadOptions;
  #workers: Workers | undefined;
  /** Pools that failed, until their workers are gone. */
  readonly #ending = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;

  constructor(options: OffloadOptions) {
    this.#options = options;
  }

  async run<T>(name: string, input: unknown, options: { readonly signal?: AbortSignal } = {}): Promise<T> {
    if (this.#closing !== undefined) throw new ProxyError('draining', 'the workers are closed');
    const { signal } = options;
    signal?.throwIfAborted();
    const workers = this.#started();
    let outcome: Outcome<T>;
    try {
      outcome = (await workers.pool.run(input, { name, ...(signal === undefined ? {} : { signal }) })) as Outcome<T>;
    } catch (thrown) {
      if (signal?.aborted === true) throw new ProxyError('cancelled', 'the work was cancelled', { cause: thrown });
      if (this.#closing !== undefined) throw new ProxyError('draining', 'the workers were closed', { cause: thrown });
      if (workers.fault !== undefined) throw this.#unusable(workers.fault);
      throw ProxyError.from(thrown);
    }
    if (outcome.ok) return outcome.value;
    const { code, message, data } = outcome;
    throw new ProxyError(code, message, data === undefined ? {} : { data });
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await Promise.all([this.#workers?.pool.destroy(), ...this.#ending]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #unusable(fault: unknown): ProxyError {
    const { message } = ProxyError.from(fault);
    return new ProxyError('internal', `${fileURLToPath(this.#options.module)} cannot be run on a worker: ${message}`, {
      cause: fault,
    });
  }

  /** A worker that fails before it has a task belongs to no task: whatever waits for it would wait for good. */
  #failed(workers: Workers, fault: unknown): void {
    workers.fault ??= fault;
    if (this.#workers === workers) this.#workers = undefined;
    const ending = workers.pool.destroy().then(() => void this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  #started(): Workers {
    if (this.#workers !== undefined) return this.#workers;
    const { module, threads = 1, idleMs = 1000, execArgv } = this.#options;
    const pool = new Tinypool({
      filename: module.href,
      runtime: 'worker_threads',
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: idleMs,
      ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
    });
    const workers: Workers = { pool };
    pool.on('error', (fault: unknown) => this.#failed(workers, fault));
    this.#workers = workers;
    return workers;
  }
}
