import type { Exchange } from '@shadowcat/kernel';
import { callSlot, META_SUBSCRIPTION, modernExchange, requestText, textAt, withMembers } from '@shadowcat/wire';

/** What a request of ours asks, on behalf of a client's exchange. */
export interface OwnRequest {
  /** A modern exchange, whose `_meta` says who the client is and what it can answer. */
  readonly client: Exchange;
  readonly method: string;
  /** JSON texts. */
  readonly params?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Makes requests of the combiner's own, each with an id that no other has. */
export class OwnRequests {
  #last = 0;

  make({ client, method, params = {}, signal }: OwnRequest): Exchange {
    this.#last += 1;
    const text = requestText(
      `"c${this.#last}"`,
      method,
      withMembers('{}', [], { ...params, _meta: envelopeOf(client) }),
    );
    return modernExchange({ text, client, signal });
  }
}

/** The client's own `_meta`, without what is about its one request. */
function envelopeOf({ context }: Exchange): string {
  const meta = textAt(context.get(callSlot)?.message?.text ?? '{}', ['params', '_meta']) ?? '{}';
  return withMembers(meta, [], { progressToken: undefined, [META_SUBSCRIPTION]: undefined });
}
