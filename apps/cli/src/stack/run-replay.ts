import { overlayReach, type RuleReach } from '@shadowcat/tape';
import { readTapeFile } from '@shadowcat/tape-file';
import { EXIT } from '../errors.js';
import { unusedOverlays } from '../overlay/overlay-paths.js';
import { readOverlays } from '../overlay/read-overlay.js';
import { publish } from '../reports/publish.js';
import type { Report } from '../reports/report.js';
import { gapLines } from '../tapes/gaps.js';
import type { Io, ReplayConfig } from './contract.js';
import { lineStack } from './layers.js';
import { openReplay } from './open-replay.js';
import { Owned } from './owned.js';
import { reachReport, replayReport } from './replay-report.js';
import { serveHttp } from './serve-http.js';
import { serveStdio } from './serve-stdio.js';
import { stopped } from './stopped.js';
import { systemClock } from './system.js';

/** `shadowcat replay`: the same stack with tapes as the innermost handler. Its exit code says how the replay went. */
export async function runReplay(config: ReplayConfig, io: Io): Promise<number> {
  const clock = systemClock;
  const { log } = io;
  await using owned = new Owned(log);
  const overlay = await readOverlays(config.overlays, io.cwd);
  for (const line of unusedOverlays(config, io.cwd)) io.tell(line);
  const tapes = await Promise.all(config.tapes.map((path) => readTapeFile(path)));
  for (const line of gapLines(tapes, io.cwd)) io.tell(line);
  if (config.dryRun) return dryRun(overlayReach(overlay, tapes), config, io);
  const stuck = new AbortController();
  const stop = AbortSignal.any([io.stop, stuck.signal]);
  const ending = { io, clock, owned, stuck: () => stuck.abort() };
  const { parts, replay, admin } = await openReplay(config, { tapes, overlay }, ending);
  if (config.listen === undefined) {
    // What is in flight waits for the client, which has just asked for the end; after it closed stdin nothing comes from it.
    const closed = (): void => replay.hangUp();
    const serving = { io: { ...io, stop }, clock, owned, drainMs: 0, lingerMs: config.drainMs, closed };
    await serveStdio(lineStack(parts)(replay), serving);
  } else if (!io.stop.aborted) {
    const { listen } = config;
    const listener = await serveHttp({ ...config, listen }, { parts, innermost: replay, admin, clock, log, owned });
    const url = `${listener.url}${config.path}`;
    log.info({ url, tapes: config.tapes }, `replaying on ${url}`);
    io.print(url);
    await stopped(stop);
    // What is left waits for its client, which has just asked for the end.
    replay.close();
  }
  await owned.close();
  const summary = replay.summary();
  return conclude(replayReport(summary, io.cwd), config, io);
}

/** Tells what the rules touch, and serves nothing. */
async function dryRun(reach: readonly RuleReach[], config: ReplayConfig, io: Io): Promise<number> {
  for (const { where, rule, touches } of reach) {
    io.print(`${where}: ${rule}: ${touches === undefined ? 'for what is not on the tapes' : `touches ${touches}`}`);
  }

  return conclude(reachReport(reach), config, io);
}

/** The exit code. */
async function conclude(report: Report, config: ReplayConfig, io: Io): Promise<number> {
  const written = await publish(report, { ...io, targets: config.reports });
  return written || report.exitCode !== EXIT.ok ? report.exitCode : EXIT.failure;
}
