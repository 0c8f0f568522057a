import type { Clock } from '@shadowcat/kernel';
import { measure } from '@shadowcat/metrics';
import { sessionLayer } from '@shadowcat/session';
import { openStore } from '@shadowcat/store';
import { cutLayer, type Overlay, type Replay, replayHandler, type Tape, withRequestsRedacted } from '@shadowcat/tape';
import { VERSION } from '../version.js';
import type { AdminSources, PartHealth } from './admin.js';
import type { Io, ReplayConfig } from './contract.js';
import { readGauges } from './gauges.js';
import type { StackParts } from './layers.js';
import { openMeter } from './meter.js';
import type { Owned } from './owned.js';
import { redactionOf } from './recording.js';
import { openResumption } from './sessions.js';
import { unguessableId } from './system.js';

/** What is kept of streams for clients that were cut. */
const KEPT = { events: 10_000, bytes: 64 * 1024 * 1024, totalBytes: 256 * 1024 * 1024 };

/** What is replayed, as it was read. */
export interface ReplaySources {
  readonly tapes: readonly Tape[];
  readonly overlay: Overlay;
}

export interface ReplayComponents {
  readonly io: Io;
  readonly clock: Clock;
  /** Takes everything that is opened here; what is added later is closed earlier. */
  readonly owned: Owned;
  /** Ends the replay: its client leaves undone what the tape waits for. */
  readonly stuck?: () => void;
}

/** All parts of a replay except for what clients connect to. */
export interface OpenReplay {
  readonly parts: StackParts;
  /** The innermost handler. Closing it ends what still waits for a client. */
  readonly replay: Replay;
  readonly admin: AdminSources;
}

/** Opens meter, store, sessions and the tapes: the stack of a proxy with tapes as the innermost handler. */
export async function openReplay(
  config: ReplayConfig,
  sources: ReplaySources,
  components: ReplayComponents,
): Promise<OpenReplay> {
  const { tapes, overlay } = sources;
  const { io, clock, owned } = components;
  const { log } = io;
  const { redactor, keyId } = await redactionOf(tapes, config, io);
  const meter = openMeter(VERSION, owned);
  const store = await openStore('memory:', { clock, log });
  owned.add('the session store', () => store.close());
  const sessions = sessionLayer({}, { store, clock, log, newId: unguessableId });
  owned.add('the sessions', () => sessions.close());
  const { allUsed, maxRung, time } = config;
  const replay = replayHandler(
    tapes.map((tape) => withRequestsRedacted(tape, redactor)),
    { allUsed, maxRung, overlay, time, resumable: config.listen !== undefined },
    { redactor, keyId, clock, log, newId: unguessableId, ...giveUp(config, components) },
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
    limits: config.limits,
    clock,
    log,
  };
  const health = async (): Promise<Record<string, PartHealth>> => ({ tapes: { ok: true, files: tapes.length } });
  const metrics = async () => ({ text: await meter.render(), contentType: meter.contentType });
  return { parts, replay, admin: { health, metrics } };
}

function giveUp(
  { giveUpMs }: ReplayConfig,
  { stuck }: ReplayComponents,
): { giveUp?: { afterMs: number; now: () => void } } {
  return giveUpMs === undefined || stuck === undefined ? {} : { giveUp: { afterMs: giveUpMs, now: stuck } };
}
