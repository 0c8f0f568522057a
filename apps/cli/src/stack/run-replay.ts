import { measure } from '@shadowcat/metrics';
import { memoryStore, sessionLayer } from '@shadowcat/session';
import { replayHandler } from '@shadowcat/tape';
import { readTapeFile } from '@shadowcat/tape-file';
import { VERSION } from '../version.js';
import type { PartHealth } from './admin.js';
import type { Io, ReplayConfig } from './contract.js';
import { readGauges } from './gauges.js';
import { lineStack, type StackParts } from './layers.js';
import { openMeter } from './meter.js';
import { Owned } from './owned.js';
import { redactionOf } from './recording.js';
import { tellSummary } from './replay-report.js';
import { serveHttp } from './serve-http.js';
import { serveStdio } from './serve-stdio.js';
import { stopped } from './stopped.js';
import { systemClock, unguessableId } from './system.js';

/** `shadowcat replay`: the same stack with tapes as the innermost handler. Its exit code says how the replay went. */
export async function runReplay(config: ReplayConfig, io: Io): Promise<number> {
  const clock = systemClock;
  const { log } = io;
  await using owned = new Owned(log);
  const tapes = await Promise.all(config.tapes.map((path) => readTapeFile(path)));
  const { redactor, keyId } = await redactionOf(tapes, config.tapes, io);
  const meter = openMeter(VERSION, owned);
  const sessions = sessionLayer({}, { store: memoryStore(), clock, log, newId: unguessableId });
  owned.add('the sessions', () => sessions.close());
  const replay = replayHandler(
    tapes,
    { allUsed: config.allUsed },
    { redactor, keyId, clock, log, newId: unguessableId },
  );
  owned.add('the tapes', () => replay.close());
  const measuring = measure({ meter, clock });
  readGauges(meter, { measure: measuring, sessions });
  const { limits } = config;
  const parts: StackParts = {
    meter,
    measure: measuring,
    sessions,
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
  }
  await owned.close();
  const summary = replay.summary();
  tellSummary(summary, io.tell);
  return summary.exitCode;
}
