import type { Json, SessionHandle, UpstreamBinding } from '@shadowcat/wire';

const MARK = '/';

/** The client's session that a session belongs to: itself, unless it is a side session. Ids of clients have no slash. */
export function mainSessionOf(id: string): string {
  const [main = id] = id.split(MARK, 1);
  return main;
}

/**
 * A client's session at another group than its own. Opened by the group's member with the client's `initialize` when it is first
 * needed, ended with the client's session; not stored: after a restart it is opened again.
 */
export class SideSession implements SessionHandle {
  readonly id: string;
  readonly #main: SessionHandle;
  #upstream: UpstreamBinding | undefined;

  constructor(main: SessionHandle, group: string) {
    this.id = `${main.id}${MARK}${group}`;
    this.#main = main;
  }

  get initializeText(): string {
    return this.#main.initializeText;
  }
  get initializeResult(): Json | undefined {
    return this.#main.initializeResult;
  }
  get protocolVersion(): string | undefined {
    return this.#main.protocolVersion;
  }
  get upstream(): UpstreamBinding | undefined {
    return this.#upstream;
  }
  /** Subscriptions are the main session's: nothing listens to what a server says here of its own accord. */
  get restore(): SessionHandle['restore'] {
    return { logLevel: this.#main.restore.logLevel, subscriptions: [] };
  }
  get ended(): boolean {
    return this.#main.ended;
  }

  bind(upstream: UpstreamBinding): void {
    this.#upstream = upstream;
  }

  onEnd(done: () => void): () => void {
    return this.#main.onEnd(done);
  }
}
