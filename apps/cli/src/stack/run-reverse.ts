import type { Io, ReverseConfig } from './contract.js';
import { oauthPart } from './oauth.js';
import { Owned } from './owned.js';
import { openProxy } from './proxy.js';
import { serveHttp } from './serve-http.js';
import { stopped } from './stopped.js';
import { systemClock } from './system.js';

/** `shadowcat reverse`: serves until `io.stop`, then finishes what is in flight and closes what it opened, in order. */
export async function runReverse(config: ReverseConfig, io: Io): Promise<number> {
  const clock = systemClock;
  const { log } = io;
  await using owned = new Owned(log);
  const proxy = await openProxy(config, { io, clock, owned });
  const { parts, upstream: innermost, admin } = proxy;
  // Asked to end before it had begun.
  if (io.stop.aborted) return 0;
  const oauth = oauthPart(
    { ...config, forwardAuthorization: config.upstream.forwardAuthorization },
    { origins: proxy.metadata, clock, log },
  );
  const listener = await serveHttp(config, { parts, innermost, admin, oauth, clock, log, owned });
  proxy.serving(() => listener.stats());

  const url = `${listener.url}${config.path}`;
  log.info({ url, upstream: proxy.describe, recording: config.recording?.path }, `listening on ${url}`);
  io.print(url);
  await stopped(io.stop);
  await owned.close();
  log.info({}, 'ended');
  return 0;
}
