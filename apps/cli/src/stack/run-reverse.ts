import { listen } from '@shadowcat/transport-http';
import type { Io, ReverseConfig } from './contract.js';
import { networkStack } from './layers.js';
import { Owned } from './owned.js';
import { openProxy } from './proxy.js';
import { stopped } from './stopped.js';
import { counter, systemClock } from './system.js';
import { acceptLines } from './web-sockets.js';

/** `shadowcat reverse`: serves until `io.stop`, then finishes what is in flight and closes what it opened, in order. */
export async function runReverse(config: ReverseConfig, io: Io): Promise<number> {
  const clock = systemClock;
  const { log } = io;
  await using owned = new Owned(log);
  const proxy = await openProxy(config, { io, clock, owned });
  const { access, path } = config;
  const handler = networkStack(proxy.parts, { paths: [path], access, host: config.listen.host, admin: proxy.admin })(
    proxy.upstream,
  );
  const { limits } = config;
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
    handler,
    { log, clock, newId: counter('x') },
  );
  owned.add('the listener', () => listener.close({ drainMs: config.drainMs }));
  const sockets = acceptLines(listener.server, config, { parts: proxy.parts, upstream: proxy.upstream, clock, log });
  owned.add('the WebSockets', () => sockets.close());
  proxy.serving(() => listener.stats());

  const url = `${listener.url}${path}`;
  log.info({ url, upstream: proxy.describe, recording: config.recording?.path }, `listening on ${url}`);
  io.print(url);
  await stopped(io.stop);
  log.info({}, 'ending: finishing what is in flight');
  await owned.close();
  log.info({}, 'ended');
  return 0;
}
