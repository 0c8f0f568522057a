import { beforeAll, describe, expect, it } from 'vitest';
import {
  type CheckStatus,
  type ConformanceReport,
  compareConformance,
  type Requirements,
  runConformance,
} from '../src/conformance.js';
import { type FixtureWire, fixtureDirect, fixtureProxied, local, proxied } from '../src/conformance-runs.js';
import { inTurns } from '../src/in-turns.js';
import { MATRIX_SERVERS } from '../src/matrix/matrix-servers.js';
import { startEverything } from '../src/servers.js';

/** The official suite, direct and through the proxy. A server on stdio has no direct run: the suite speaks HTTP only. */

const REQUIREMENTS: readonly Requirements[] = ['2025-11-25', '2026-07-28'];

/** What a server on a line answers at once comes as JSON, as the revision allows; this check looks at event streams only. */
const NO_STREAMS = ['server-sse-multiple-streams server-sse-streams-functional'];

/**
 * Checks that cannot occur through the proxy, each with its reason.
 *
 * `server-sse-polling`, HTTP: the server closes the stream before its answer; a client that sees it would come back with GET
 * and Last-Event-ID. The proxy does that itself, so the client's one stream stays open and carries the answer.
 * On stdio there is no stream that the server could close: it answers at once that it cannot.
 */
const ELSEWHERE: Readonly<Record<FixtureWire, readonly string[]>> = {
  http: [
    'server-sse-polling outgoing-request',
    'server-sse-polling incoming-response',
    'server-sse-polling server-sse-disconnect-resume',
  ],
  stdio: [
    ...NO_STREAMS,
    'server-sse-polling outgoing-request',
    'server-sse-polling incoming-response',
    'server-sse-polling incoming-sse-event',
    'server-sse-polling stream-closed',
    'server-sse-polling server-sse-priming-event',
    'server-sse-polling server-sse-retry-field',
    'server-sse-polling server-sse-disconnect-resume',
  ],
};

/** Runs at the same time: the suite waits more than it computes. */
const AT_ONCE = 3;

/** More than a run of the suite may take. */
const SUITE_MS = 240_000;

const PLACES = ['direct', 'http', 'stdio'] as const;
type Place = (typeof PLACES)[number];

describe('the fixture', () => {
  const reports = new Map<string, ConformanceReport>();
  const reportOf = (requirements: Requirements, place: Place): ConformanceReport => {
    const report = reports.get(`${requirements} ${place}`);
    if (report === undefined) throw new Error(`no run of ${requirements}, ${place}`);
    return report;
  };

  beforeAll(async () => {
    const runs = REQUIREMENTS.flatMap((requirements) => PLACES.map((place) => ({ requirements, place })));
    await inTurns(runs, AT_ONCE, async ({ requirements, place }) => {
      const report =
        place === 'direct'
          ? await fixtureDirect(requirements)
          : await fixtureProxied({ requirements, era: 'both', wire: place });
      reports.set(`${requirements} ${place}`, report);
    });
  }, 400_000);

  it.each(REQUIREMENTS.flatMap((requirements) => (['http', 'stdio'] as const).map((wire) => ({ requirements, wire }))))(
    '$requirements over $wire: no check is worse through the proxy than direct, and none fails that does not there',
    ({ requirements, wire }) => {
      const direct = reportOf(requirements, 'direct');
      const behind = reportOf(requirements, wire);
      const elsewhere = requirements === '2025-11-25' ? ELSEWHERE[wire] : [];
      const worse = compareConformance(direct, behind).filter(
        ({ scenario, check }) => !elsewhere.includes(`${scenario} ${check}`),
      );
      expect(worse).toEqual([]);
      expect(behind.failed).toBeLessThanOrEqual(direct.failed);
      expect(failingScored(behind)).toEqual([]);
    },
  );
});

describe('server-everything', () => {
  let direct: ConformanceReport;

  beforeAll(async () => {
    await using everything = await startEverything();
    direct = await runConformance({ url: local(everything.url), requirements: 'active' });
  }, SUITE_MS);

  it.each(MATRIX_SERVERS.filter(({ name }) => name.startsWith('everything-')))(
    '$title: no check is worse through the proxy than direct over HTTP, and Host, Origin and ended sessions are better',
    async (server) => {
      await using running = await server.start();
      const behind = await proxied(running.proxied, 'active');
      const worse = compareConformance(direct, behind).filter(
        ({ scenario, check }) => server.wire === 'http' || !NO_STREAMS.includes(`${scenario} ${check}`),
      );
      expect(worse).toEqual([]);
      const better = compareConformance(behind, direct);
      const names = better.map(({ scenario, check }) => `${scenario} ${check}`);
      expect(names, JSON.stringify(better, undefined, 2)).toEqual([
        'dns-rebinding-protection localhost-host-rebinding-rejected',
        'server-session-lifecycle server-session-terminated-returns-404',
      ]);
    },
    SUITE_MS,
  );
});

/** Checks of scored scenarios that fail, and why. */
function failingScored({ scenarios }: ConformanceReport): string[] {
  const failed: CheckStatus = 'FAILURE';
  return scenarios
    .filter(({ scored }) => scored)
    .flatMap(({ name, checks }) =>
      checks.filter(({ status }) => status === failed).map(({ id, errorMessage }) => `${name} ${id}: ${errorMessage}`),
    );
}
