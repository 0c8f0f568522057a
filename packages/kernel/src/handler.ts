import type { Exchange } from './exchange.js';
import type { Reply } from './reply.js';

/** Everything that answers. Rejects with a `ProxyError`; the rescue layer turns that into a reply. */
export type Handler = (exchange: Exchange) => Promise<Reply>;

/** Everything that adds behaviour. */
export type Layer = (next: Handler) => Handler;
