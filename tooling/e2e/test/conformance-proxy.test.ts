import { expect, it } from 'vitest';
import { compareConformance, type Requirements, runConformance } from '../src/conformance.js';
import { startEverything, startFixture } from '../src/servers.js';
import { startShadowcat, workFolder } from '../src/shadowcat.js';

const local = (url: string): string => url.replace('127.0.0.1', 'localhost');

/**
 * The official suite, direct and through the proxy. A check that cannot occur through the proxy, because the proxy itself
 * resumes what the server closed and keeps the client's stream open, is named here with its reason.
 */
const RESUMED_BY_THE_PROXY: Readonly<Record<Requirements, readonly string[]>> = {
  // The server closes the stream before its answer; a client that sees it would come back with GET and Last-Event-ID. The
  // proxy does that itself, so the client's one stream stays open and carries the answer: there is nothing to observe.
  '2025-11-25': [
    'server-sse-polling outgoing-request',
    'server-sse-polling incoming-response',
    'server-sse-polling server-sse-disconnect-resume',
  ],
  '2026-07-28': [],
};

it.each(['2025-11-25', '2026-07-28'] as const)(
  '%s: no check is worse through the proxy than direct',
  async (requirements) => {
    await using folder = await workFolder();
    await using fixture = await startFixture();
    await using proxy = await startShadowcat(['reverse', '--upstream', fixture.url], folder.path);
    const direct = await runConformance({ url: local(fixture.url), requirements });
    const proxied = await runConformance({ url: local(proxy.url), requirements });
    const worse = compareConformance(direct, proxied).map(({ scenario, check }) => `${scenario} ${check}`);
    expect(worse.filter((name) => !RESUMED_BY_THE_PROXY[requirements].includes(name))).toEqual([]);
    expect(proxied.failed).toBeLessThanOrEqual(direct.failed);
  },
);

it('server-everything: no check is worse through the proxy than direct, and Host, Origin and ended sessions are better', async () => {
  await using folder = await workFolder();
  await using everything = await startEverything();
  await using proxy = await startShadowcat(['reverse', '--upstream', everything.url], folder.path);
  const requirements = '2025-11-25';
  const direct = await runConformance({ url: local(everything.url), requirements });
  const proxied = await runConformance({ url: local(proxy.url), requirements });
  expect(compareConformance(direct, proxied)).toEqual([]);
  const better = compareConformance(proxied, direct).map(({ scenario, check }) => `${scenario} ${check}`);
  expect(better).toEqual([
    'dns-rebinding-protection localhost-host-rebinding-rejected',
    'server-session-lifecycle server-session-terminated-returns-404',
  ]);
});
