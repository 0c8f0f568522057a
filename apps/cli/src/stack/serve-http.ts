import type { Clock, Handler, Log } from '@shadowcat/kernel';
import { type Listener, listen } from '@shadowcat/transport-http/listener';
import { ssePairServer } from '@shadowcat/transport-sse';
import type { AdminSources } from './admin.js';
import type { AccessConfig, LimitsConfig, ListenAddress, RouteConfig } from './contract.js';
import { networkStack, type StackParts } from './layers.js';
import type { OAuthPart } from './oauth.js';
import type { Owned } from './owned.js';
import { counter, unguessableId } from './system.js';
import { acceptLines } from './web-sockets.js';

/** What serving on a network needs of a configuration. */
export interface ServingConfig {
  readonly listen: ListenAddress;
  readonly path: string;
  readonly routes?: readonly RouteConfig[];
  readonly access: AccessConfig;
  readonly limits: LimitsConfig;
  readonly keepAliveMs: number;
  readonly drainMs: number;
}

export interface ServingComponents {
  readonly parts: StackParts;
  /** The handler behind all layers. */
  readonly innermost: Handler;
  readonly admin: AdminSources;
  readonly oauth?: OAuthPart | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly owned: Owned;
}

/**
 * Opens the one listener for every kind of client on a network: Streamable HTTP and WebSocket at `path`, the legacy
 * HTTP+SSE pair at `/sse` and `/message`.
 */
export async function serveHttp(config: ServingConfig, components: ServingComponents): Promise<Listener> {
  const { parts, innermost, admin, oauth, clock, log, owned } = components;
  const { limits, path, access } = config;
  const pair = ssePairServer(
    { target: path, queueLimit: limits.maxStreamQueue, maxBody: limits.maxBody },
    { clock, log, newId: counter('s'), newSecret: unguessableId },
  );
  const routePaths = config.routes?.flatMap(({ match }) => match.path ?? []);
  const stack = networkStack(parts, { path, routePaths, access, host: config.listen.host, admin, pair, oauth });
  const listener = await listen(
    {
      ...config.listen,
      keepAlive: config.keepAliveMs,
      limits: {
        body: limits.maxBody,
        headerSize: limits.maxHeaderSize,
        headerCount: limits.maxHeaders,
        connections: limits.maxConnections,
        headersTimeout: limits.headersTimeoutMs,
        requestTimeout: limits.requestTimeoutMs,
      },
    },
    stack(innermost),
    { log, clock, newId: counter('x') },
  );
  const left = deadline(clock, config.drainMs);
  owned.add('the listener', () => listener.close({ drainMs: left() }));
  owned.add('the clients of the legacy pair', () => pair.close(left()));
  const sockets = acceptLines(listener.server, config, { parts, innermost, clock, log });
  owned.add('the WebSockets', () => sockets.close(left()));
  return listener;
}

/** What is left of `ms` milliseconds, which begin with the first question: one drain for all that is closed in turn. */
function deadline(clock: Clock, ms: number): () => number {
  let began: number | undefined;
  return () => {
    began ??= clock.now();
    return Math.max(0, began + ms - clock.now());
  };
}
