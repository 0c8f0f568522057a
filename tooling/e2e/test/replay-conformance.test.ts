import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { compareConformance, type Requirements, runConformance } from '../src/conformance.js';
import { local } from '../src/conformance-runs.js';
import { startFixture } from '../src/servers.js';
import { runShadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/**
 * The official suite against the replay of a tape of itself, in golden form. No scenario comes out otherwise; what would have to
 * be listed here is what a tape cannot repeat.
 *
 * Not compared is one entry of the suite's log, which judges nothing: in `server-sse-polling` the recorded server primes the
 * stream with an event of its own besides that of the proxy; the replay has only one to prime with.
 */
const LOGGED = { scenario: 'server-sse-polling', check: 'incoming-sse-event' };

it.concurrent.each<Requirements>(['2025-11-25', '2026-07-28'])(
  '%s: every check is as good at the replay as when it was recorded, and the tape is used up',
  { timeout: 120_000 },
  async (requirements) => {
    await using folder = await workFolder();
    const tape = join(folder.path, 'suite.tape.jsonl');
    await using fixture = await startFixture();
    const flags = ['--bridge', 'off', '--out', tape, '--upstream', fixture.url];
    await using proxy = await startShadowcat(['record', ...flags], folder.path);
    const recorded = await runConformance({ url: local(proxy.url), requirements });
    expect((await proxy.stop()).code).toBe(0);
    expect((await runShadowcat(['tape', 'fmt', tape], folder.path)).code).toBe(0);

    const report = join(folder.path, 'replay.json');
    const words = ['replay', tape, '--all-used', '--report', `json=${report}`];
    await using replay = await startShadowcat(words, folder.path);
    const replayed = await runConformance({ url: local(replay.url), requirements });
    const worse = compareConformance(recorded, replayed).filter(
      ({ scenario, check }) => !(scenario === LOGGED.scenario && check === LOGGED.check),
    );
    expect(worse).toEqual([]);
    expect([replayed.passed, replayed.failed]).toEqual([recorded.passed, recorded.failed]);
    const ended = await replay.stop();
    const { findings } = JSON.parse(await readFile(report, 'utf8')) as { findings: unknown };
    expect({ code: ended.code, findings }).toEqual({ code: 0, findings: [] });
  },
);
