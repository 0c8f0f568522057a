import type { Exchange } from '@shadowcat/kernel';
import type { SessionHandle } from '@shadowcat/wire';

/** Somebody with another credential than a session's wants to go on with it. */
export interface AdoptionRequest {
  readonly session: SessionHandle;
  /** What the session's credential is known by; empty: it was opened without one. */
  readonly credential: string;
  /** Whether the upstream has refused the session's own credential since it was bound. */
  readonly refused: boolean;
  /** The request with the other credential. */
  readonly exchange: Exchange;
}

/** Decides about an {@link AdoptionRequest}; rejects when that cannot be found out, which counts as no. */
export type Adopts = (request: AdoptionRequest) => Promise<boolean>;

/** Asks once for each session and credential, however many requests wait for the verdict. Verdicts are not kept. */
export class Adoptions {
  readonly #adopts: Adopts | undefined;
  readonly #asking = new Map<string, Promise<boolean>>();

  /** Without `adopts` nobody is let in. */
  constructor(adopts: Adopts | undefined) {
    this.#adopts = adopts;
  }

  /** Whether `by` may go on with the session. A client without a credential never may. Never rejects. */
  async verdict(by: string, request: AdoptionRequest): Promise<boolean> {
    if (this.#adopts === undefined || by === '') return false;
    const key = `${request.session.id} ${by}`;
    const asking = this.#asking.get(key) ?? this.#adopts(request).catch(() => false);
    this.#asking.set(key, asking);
    try {
      return await asking;
    } finally {
      this.#asking.delete(key);
    }
  }
}
