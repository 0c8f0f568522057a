import type { Clock, Handler, Layer } from '@shadowcat/kernel';
import { measure } from '@shadowcat/metrics';
import { type MetadataOrigin, uniqueIds } from '@shadowcat/pipeline';
import type { StoreHealth } from '@shadowcat/store';
import type { Recorder } from '@shadowcat/tape';
import type { ListenerStats } from '@shadowcat/transport-http';
import { mainSessionOf } from '@shadowcat/upstream';
import type { SessionHandle } from '@shadowcat/wire';
import { VERSION } from '../version.js';
import type { AdminSources, PartHealth } from './admin.js';
import { openAdoption } from './adoption.js';
import type { Note } from './commands.js';
import type { Io, ProxyConfig } from './contract.js';
import { readGauges } from './gauges.js';
import { loadInterceptors } from './interceptors.js';
import type { StackParts } from './layers.js';
import { openMeter } from './meter.js';
import type { Owned } from './owned.js';
import { openRecorder } from './recording.js';
import { recoveries } from './recoveries.js';
import { runFolder } from './run-folder.js';
import { openResumption, openSessions } from './sessions.js';
import { counter, unguessableId } from './system.js';
import { openUpstreams } from './upstreams.js';

export interface ProxyComponents {
  readonly io: Io;
  readonly clock: Clock;
  /** Takes everything that is opened here; what is added later is closed earlier. */
  readonly owned: Owned;
  /** What happens to a finished tape of the same name. Default `replace`. */
  readonly tapes?: 'replace' | 'keep';
}

/** All parts of a proxy except for what clients connect to. */
export interface Proxy {
  readonly parts: StackParts;
  /** The innermost handler. */
  readonly upstream: Handler;
  readonly admin: AdminSources;
  /** Where OAuth documents come from. */
  readonly metadata: readonly MetadataOrigin[];
  /** For the log: what is behind the proxy. */
  readonly describe: string;
  /** Says where the listener's figures are, once there is one. */
  serving(stats: () => ListenerStats): void;
}

/**
 * Opens meter, store, sessions, recorder and upstreams, in that order: at the end the upstreams are closed first, then the
 * recorder, which may still have to record their last words, then the sessions, which stay valid, are flushed to the store.
 */
export async function openProxy(config: ProxyConfig, components: ProxyComponents): Promise<Proxy> {
  const { io, clock, owned } = components;
  const { log } = io;
  const interceptors = await loadInterceptors(config.interceptors);
  const meter = openMeter(VERSION, owned, config);
  const adoption = openAdoption(config.upstream, (exchange) => upstreams.handler(exchange));
  const expired = (session: SessionHandle): void => upstreams.farewell(session);
  const { adopts } = adoption ?? {};
  const { store, sessions } = await openSessions(config.sessions, { clock, log, owned, adopts, expired });
  const existing = components.tapes ?? 'replace';
  const recorder = await openRecorder(config, { io, clock, owned, existing });
  const note = recorder && noteOn(recorder);
  const upstreams = openUpstreams(config, {
    log,
    clock,
    owned,
    meter,
    note,
    recoveries: recoveries({ meter, note }),
    listFolder: runFolder(io.env),
  });
  io.onWeights?.((weights) => upstreams.setWeights(weights));
  // What expired while no proxy ran is still in the store, and perhaps upstream.
  void sessions.sweep();
  const resumption = openResumption(config.sessions.resume, { clock, log, owned, store });
  let storeHealth: StoreHealth | undefined;
  let listener: (() => ListenerStats) | undefined;
  const measuring = measure({ meter, clock });
  readGauges(meter, {
    measure: measuring,
    sessions,
    resumption,
    listener: () => listener?.(),
    upstreams: () => upstreams.stats(),
    store: () => storeHealth,
    ...(recorder === undefined ? {} : { recorder: () => recorder.state() }),
  });
  const health = async (): Promise<Record<string, PartHealth>> => {
    const [upstreamHealth, storeNow] = await Promise.all([upstreams.health(), store.health()]);
    storeHealth = storeNow;
    return { upstreams: upstreamHealth, store: partOf(storeNow, storeNow.problem), recorder: recorderHealth(recorder) };
  };
  return {
    parts: {
      meter,
      measure: measuring,
      sessions,
      resumption,
      interceptors,
      recorder,
      ids: idsFor(config.targets),
      subjects: adoption?.subjects,
      limits: config.limits,
      clock,
      log,
    },
    upstream: upstreams.handler,
    metadata: upstreams.metadata,
    admin: {
      health,
      metrics: async () => {
        storeHealth = await store.health();
        return { text: await meter.render(), contentType: meter.contentType };
      },
    },
    describe: config.targets.map(({ name }) => name).join(', '),
    serving: (stats) => {
      listener = stats;
    },
  };
}

/** What concerns a session at another group than its own is on the tape of its client's session. */
function noteOn(recorder: Recorder): Note {
  return (session, kind, text) => recorder.note(session && mainSessionOf(session), kind, text);
}

/** On lines the correlator does it. Ids of one run are not those of the next: sessions outlive a run. */
function idsFor(targets: ProxyConfig['targets']): Layer | undefined {
  const overHttp = targets.some((target) => target.kind === 'url' && target.transport === 'http');
  return overHttp ? uniqueIds({ newId: counter(`u${unguessableId().slice(0, 8)}.`) }) : undefined;
}

function partOf(health: StoreHealth, problem: string | undefined): PartHealth {
  const { ok, kind, where, pending } = health;
  return {
    ok,
    kind,
    ...(where === '' ? {} : { where }),
    pending,
    ...(problem === undefined ? {} : { detail: problem }),
  };
}

/** What was lost once stays lost and counted; what can be written again is no reason to send clients elsewhere. */
function recorderHealth(recorder: Recorder | undefined): PartHealth {
  if (recorder === undefined) return { ok: true, detail: 'not recording' };
  const { status, open, records, lost, error } = recorder.state();
  const ok = status !== 'failing';
  const detail = error ?? (lost === 0 ? undefined : `${lost} records could not be written and are on no tape`);
  return { ok, status, tapes: open, records, lost, ...(detail === undefined ? {} : { detail }) };
}
