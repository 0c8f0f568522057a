import type { Json, SessionHandle, UpstreamBinding } from '@shadowcat/wire';

/**
 * What a client's session is to the shadow: a session of its own, opened there with the client's `initialize`. Ends with the
 * client's, or sooner; not stored.
 */
export class ShadowSession implements SessionHandle {
  readonly id: string;
  readonly initializeText: string;
  /** Nothing listens to what the shadow says of its own accord. */
  readonly restore = { logLevel: undefined, subscriptions: [] };
  #initializeResult: Json | undefined;
  #protocolVersion: string | undefined;
  #upstream: UpstreamBinding | undefined;
  #ended = false;
  readonly #ending = new Set<() => void>();

  constructor(client: SessionHandle) {
    // As side sessions are called: whoever knows those knows whose it is.
    this.id = `${client.id}/shadow`;
    this.initializeText = client.initializeText;
  }

  get initializeResult(): Json | undefined {
    return this.#initializeResult;
  }
  get protocolVersion(): string | undefined {
    return this.#protocolVersion;
  }
  get upstream(): UpstreamBinding | undefined {
    return this.#upstream;
  }
  get ended(): boolean {
    return this.#ended;
  }

  bind(upstream: UpstreamBinding): void {
    this.#upstream = upstream;
  }

  learn(result: Json, protocolVersion: string | undefined): void {
    this.#initializeResult = result;
    this.#protocolVersion = protocolVersion;
  }

  onEnd(done: () => void): () => void {
    if (this.#ended) {
      done();
      return () => {};
    }
    this.#ending.add(done);
    return () => void this.#ending.delete(done);
  }

  /** Idempotent. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const done of this.#ending) done();
    this.#ending.clear();
  }
}
