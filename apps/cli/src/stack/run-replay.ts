import { measure } from '@shadowcat/metrics';
import { memoryStore, sessionLayer } from '@shadowcat/session';
import { type Replay, replayHandler } from '@shadowcat/tape';
import { readTapeFile } from '@shadowcat/tape-file';
import { listen } from '@shadowcat/transport-http';
import { ownStdio } from '@shadowcat/transport-stdio';
import { serveLine } from '@shadowcat/wire';
import { VERSION } from '../version.js';
import type { PartHealth } from './admin.js';
import type { Io, ReplayConfig } from './contract.js';
import { readGauges } from './gauges.js';
import { lineStack, networkStack, type StackParts } from './layers.js';
import { openMeter } from './meter.js';
import { Owned } from './owned.js';
import { openRedactor } from './recording.js';
import { tellSummary } from './replay-report.js';
import { stopped } from './stopped.js';
import { counter, systemClock, unguessableId } from './system.js';

/** `shadowcat replay`: the same stack with tapes as the innermost handler. Its exit code says how the replay went. */
export async function runReplay(config: ReplayConfig, io: Io): Promise<number> {
  const clock = systemClock;
  const { log } = io;
  await using owned = new Owned(log);
  const tapes = await Promise.all(config.tapes.map((path) => readTapeFile(path)));
  const { redactor, keyId } = await openRedactor(io);
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
    limits,
    clock,
    log,
  };
  if (config.listen === undefined) await overStdio(replay, { parts, io, owned });
  else
    await overHttp(replay, {
      config,
      listen: config.listen,
      parts,
      io,
      owned,
      render: () => meter.render(),
      contentType: meter.contentType,
    });
  await owned.close();
  const summary = replay.summary();
  tellSummary(summary, io.tell);
  return summary.exitCode;
}

interface Running {
  readonly parts: StackParts;
  readonly io: Io;
  readonly owned: Owned;
}

async function overStdio(replay: Replay, { parts, io, owned }: Running): Promise<void> {
  const { clock, log } = parts;
  const connection = ownStdio({ input: process.stdin, output: process.stdout }, { clock, log });
  const line = serveLine(connection, lineStack(parts)(replay), { clock, log, newId: counter('x') });
  owned.add('the line', () => line[Symbol.asyncDispose]());
  await Promise.race([line.done, stopped(io.stop)]);
}

interface RunningHttp extends Running {
  readonly config: ReplayConfig;
  readonly listen: NonNullable<ReplayConfig['listen']>;
  readonly render: () => Promise<string>;
  readonly contentType: string;
}

async function overHttp(replay: Replay, running: RunningHttp): Promise<void> {
  const { config, listen: address, parts, io, owned, render, contentType } = running;
  const { clock, log } = parts;
  const health = async (): Promise<Record<string, PartHealth>> => ({ tapes: { ok: true, files: config.tapes.length } });
  const handler = networkStack(parts, {
    paths: [config.path],
    access: config.access,
    host: address.host,
    admin: { health, metrics: async () => ({ text: await render(), contentType }) },
  })(replay);
  const { limits } = config;
  const listener = await listen(
    {
      ...address,
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
  const url = `${listener.url}${config.path}`;
  log.info({ url, tapes: config.tapes }, `replaying on ${url}`);
  io.print(url);
  await stopped(io.stop);
}
