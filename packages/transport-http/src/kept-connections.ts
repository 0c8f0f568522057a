import { type Dispatcher, Pool } from 'undici';

/**
 * The connections to one server, kept for reuse. When one breaks, the server may have died, and the others that are kept may be
 * dead without anybody having noticed yet: a request that is written to one of them is lost, and nobody may send it again, since
 * it may have had its effect. So none that was open then gets another request ({@link renew}). A connection that is made
 * afterwards is refused by a dead server before anything is sent, and the request can go elsewhere.
 *
 * The number of connections is bounded by the number of requests; a bound here would let a client's answer to a server's
 * question wait behind the very request that asks it.
 */
export class KeptConnections {
  readonly #make: () => Pool;
  /** Those of before, until what they carry has ended. */
  readonly #retired = new Set<Pool>();
  #current: Pool;

  constructor(origin: string, options: Pool.Options) {
    this.#make = () => new Pool(origin, options);
    this.#current = this.#make();
  }

  /** What to send the next request with. */
  get current(): Dispatcher {
    return this.#current;
  }

  /** Connections that are open. */
  get connected(): number {
    let connected = this.#current.stats.connected;
    for (const pool of this.#retired) connected += pool.stats.connected;
    return connected;
  }

  /** One has broken, be it one of before: nothing happens while none is open that could get the next request. */
  renew(): void {
    if (this.#current.destroyed || this.#current.stats.connected === 0) return;
    const old = this.#current;
    this.#current = this.#make();
    this.#retired.add(old);
    const gone = (): void => void this.#retired.delete(old);
    old.close().then(gone, gone);
  }

  /** Ends what is under way with `error` and closes all connections. */
  async destroy(error: Error): Promise<void> {
    await Promise.all([this.#current, ...this.#retired].map((pool) => pool.destroy(error)));
  }
}
