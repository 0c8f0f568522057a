import type { Clock, Connection, Log } from '@shadowcat/kernel';
import { ssePairConnection } from '@shadowcat/transport-sse';
import { HttpClient } from './http-client.js';
import { UpstreamHeaders } from './upstream-headers.js';

export interface OpenSsePairOptions {
  /** Of the event stream, `http:` or `https:`. */
  readonly url: string;
  /** Added to each request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For the connection to stand, and then again for the server to name its endpoint. Default 5 s. */
  readonly connectTimeoutMs?: number;
  /** For the server to take a message. Default 60 s. */
  readonly firstByteTimeoutMs?: number;
}

/**
 * Opens the legacy HTTP+SSE pair of a server as a line, over connections of its own that end with it. Rejects as
 * `ssePairConnection` does; `signal` ends the opening only.
 */
export function openSsePair(
  options: OpenSsePairOptions,
  components: { readonly clock: Clock; readonly log: Log },
  signal?: AbortSignal,
): Promise<Connection> {
  const timeout = options.connectTimeoutMs ?? 5_000;
  const client = new HttpClient({ url: new URL(options.url), connectTimeout: timeout });
  const fields = new UpstreamHeaders({ headers: options.headers, forwardHeaders: ['cache-control'] });
  return ssePairConnection(
    { url: options.url, openTimeout: 2 * timeout },
    {
      ...components,
      http: ({ method, path, headers, body, signal: until }) =>
        client.send({
          method,
          path,
          headers: fields.from(headers, undefined),
          body,
          signal: until,
          firstByteTimeout: method === 'GET' ? 0 : (options.firstByteTimeoutMs ?? 60_000),
        }),
      ended: () =>
        void client.close().catch((error) => components.log.debug({ err: error }, 'closing a client failed')),
    },
    signal,
  );
}
