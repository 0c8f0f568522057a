import { measure } from '@shadowcat/metrics';
import { sessionLayer } from '@shadowcat/session';
import { openStore } from '@shadowcat/store';
import { cutLayer, overlayReach, type RuleReach, replayHandler, withRequestsRedacted } from '@shadowcat/tape';
import { readTapeFile } from '@shadowcat/tape-file';
import { EXIT } from '../errors.js';
import { readOverlays } from '../overlay/read-overlay.js';
import { publish } from '../reports/publish.js';
import type { Report } from '../reports/report.js';
import { VERSION } from '../version.js';
import type { PartHealth } from './admin.js';
import type { Io, ReplayConfig } from './contract.js';
import { readGauges } from './gauges.js';
import { lineStack, type StackParts } from './layers.js';
import { openMeter } from './meter.js';
import { Owned } from './owned.js';
import { redactionOf } from './recording.js';
import { reachReport, replayReport } from './replay-report.js';
import { serveHttp } from './serve-http.js';
import { serveStdio } from './serve-stdio.js';
import { openResumption } from './sessions.js';
import { stopped } from './stopped.js';
import { systemClock, unguessableId } from './system.js';

/** What is kept of streams for clients that were cut. */
const KEPT = { events: 10_000, bytes: 64 * 1024 * 1024, totalBytes: 256 * 1024 * 1024 };

/** `shadowcat replay`: the same stack with tapes as the innermost handler. Its exit code says how the replay went. */
export async function runReplay(config: ReplayConfig, io: Io): Promise<number> {
  const clock = systemClock;
  const { log } = io;
  await using owned = new Owned(log);
  const { limits, allUsed, maxRung, time } = config;
  const overlay = await readOverlays(config.overlays, io.cwd);
  const tapes = await Promise.all(config.tapes.map((path) => readTapeFile(path)));
  if (config.dryRun) return dryRun(overlayReach(overlay, tapes), config, io);
  const { redactor, keyId } = await redactionOf(tapes, config, io);
  const meter = openMeter(VERSION, owned);
  const store = await openStore('memory:', { clock, log });
  owned.add('the session store', () => store.close());
  const sessions = sessionLayer({}, { store, clock, log, newId: unguessableId });
  owned.add('the sessions', () => sessions.close());
  const replay = replayHandler(
    tapes.map((tape) => withRequestsRedacted(tape, redactor)),
    { allUsed, maxRung, overlay, time, resumable: config.listen !== undefined },
    { redactor, keyId, clock, log, newId: unguessableId },
  );
  owned.add('the tapes', () => replay.close());
  const resumption = openResumption(KEPT, { clock, log, owned, store });
  const measuring = measure({ meter, clock });
  readGauges(meter, { measure: measuring, sessions, resumption });
  const parts: StackParts = {
    meter,
    measure: measuring,
    sessions,
    resumption,
    cuts: cutLayer({ clock }),
    interceptors: [],
    recorder: undefined,
    // Tapes have no sessions that could be mixed up.
    ids: undefined,
    limits,
    clock,
    log,
  };
  if (config.listen === undefined) {
    // What is in flight waits for the client, which has just asked for the end; after it closed stdin nothing comes from it.
    await serveStdio(lineStack(parts)(replay), { io, clock, owned, drainMs: 0, lingerMs: config.drainMs });
  } else if (!io.stop.aborted) {
    const health = async (): Promise<Record<string, PartHealth>> => ({ tapes: { ok: true, files: tapes.length } });
    const metrics = async () => ({ text: await meter.render(), contentType: meter.contentType });
    const { listen } = config;
    const admin = { health, metrics };
    const listener = await serveHttp({ ...config, listen }, { parts, innermost: replay, admin, clock, log, owned });
    const url = `${listener.url}${config.path}`;
    log.info({ url, tapes: config.tapes }, `replaying on ${url}`);
    io.print(url);
    await stopped(io.stop);
    // What is left waits for its client, which has just asked for the end.
    replay.close();
  }
  await owned.close();
  const summary = replay.summary();
  return conclude(replayReport(summary, io.cwd), config, io);
}

/** Tells what the rules touch, and serves nothing. */
async function dryRun(reach: readonly RuleReach[], config: ReplayConfig, io: Io): Promise<number> {
  for (const { where, rule, touches } of reach) io.print(`${where}: ${rule}: touches ${touches}`);
  return conclude(reachReport(reach), config, io);
}

/** The exit code. */
async function conclude(report: Report, config: ReplayConfig, io: Io): Promise<number> {
  const written = await publish(report, { targets: config.reports, env: io.env, tell: io.tell });
  return written || report.exitCode !== EXIT.ok ? report.exitCode : EXIT.failure;
}
