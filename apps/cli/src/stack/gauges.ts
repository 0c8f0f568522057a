import { INSTRUMENTS, type MeasureLayer, type Meter, type Reading } from '@shadowcat/metrics';
import type { SessionLayer } from '@shadowcat/session';
import type { StoreHealth } from '@shadowcat/store';
import type { RecorderState } from '@shadowcat/tape';
import type { ListenerStats } from '@shadowcat/transport-http';
import type { ResumptionLayer } from '@shadowcat/transport-sse';
import type { BridgingStats } from './bridging.js';
import type { ProtectionStats } from './protection.js';
import type { UpstreamStats } from './upstreams.js';

/** Parts that know their own figures; read when somebody asks for metrics, not before. */
export interface GaugeSources {
  readonly measure: MeasureLayer;
  readonly sessions: SessionLayer;
  readonly resumption?: ResumptionLayer;
  readonly listener?: () => ListenerStats | undefined;
  readonly upstreams?: () => UpstreamStats;
  readonly recorder?: () => RecorderState;
  /** What the last look at the store's health saw. */
  readonly store?: () => StoreHealth | undefined;
}

/** Lets the meter read what the parts know. */
export function readGauges(meter: Meter, sources: GaugeSources): void {
  meter.read(INSTRUMENTS.inFlight, () => sources.measure.inFlight());
  readSessions(meter, sources.sessions);
  const { listener, upstreams, recorder, store, resumption } = sources;
  if (resumption !== undefined) readResumption(meter, resumption);
  if (listener !== undefined) {
    meter.read(INSTRUMENTS.connections, () => listener()?.connections ?? 0);
    meter.read(INSTRUMENTS.streams, () => listener()?.streams ?? 0);
    meter.read(INSTRUMENTS.connectionsRefused, () => listener()?.dropped ?? 0);
    meter.read(INSTRUMENTS.malformed, () => listener()?.malformed ?? 0);
  }
  if (upstreams !== undefined) readUpstreams(meter, upstreams);
  if (recorder !== undefined) {
    meter.read(INSTRUMENTS.recorderUp, () => (recorder().status === 'failing' ? 0 : 1));
    meter.read(INSTRUMENTS.recorderRecords, () => recorder().records);
    meter.read(INSTRUMENTS.recorderDropped, () => recorder().lost);
  }
  if (store !== undefined) {
    meter.read(INSTRUMENTS.storeUp, () => ((store()?.ok ?? true) ? 1 : 0));
    meter.read(INSTRUMENTS.storePending, () => store()?.pending ?? 0);
  }
}

function readSessions(meter: Meter, sessions: SessionLayer): void {
  meter.read(INSTRUMENTS.sessions, () => {
    const { open, opening, active } = sessions.stats();
    return [
      { labels: ['opening'], value: opening },
      { labels: ['active'], value: active },
      { labels: ['idle'], value: open - active },
    ];
  });
  meter.read(INSTRUMENTS.sessionsOpened, () => {
    const { opened, restored } = sessions.stats();
    return [
      { labels: ['opened'], value: opened },
      { labels: ['restored'], value: restored },
    ];
  });
  meter.read(INSTRUMENTS.sessionsEnded, () =>
    Object.entries(sessions.stats().ended).map(([reason, value]) => ({ labels: [reason], value })),
  );
}

function readResumption(meter: Meter, { stats }: ResumptionLayer): void {
  meter.read(INSTRUMENTS.keptStreams, () => {
    const { streams, detached } = stats();
    return [
      { labels: ['detached'], value: detached },
      { labels: ['other'], value: streams - detached },
    ];
  });
  meter.read(INSTRUMENTS.keptEvents, () => stats().events);
  meter.read(INSTRUMENTS.keptBytes, () => stats().bytes);
  meter.read(INSTRUMENTS.keptEvicted, () => stats().evicted);
  meter.read(INSTRUMENTS.resumptions, () => {
    const { resumed, expired } = stats();
    return [
      { labels: ['ok'], value: resumed },
      { labels: ['expired'], value: expired },
    ];
  });
}

function readProtection(meter: Meter, protection: () => ProtectionStats): void {
  meter.read(INSTRUMENTS.breaker, () =>
    protection().breakers.flatMap(({ name, state }) =>
      (['closed', 'half-open', 'open'] as const).map((one) => ({ labels: [name, one], value: one === state ? 1 : 0 })),
    ),
  );
  meter.read(INSTRUMENTS.retryRefused, () => protection().budget.refused);
  meter.read(INSTRUMENTS.retryBudget, () => protection().budget.left);
  meter.read(INSTRUMENTS.owedInFlight, () => protection().inFlight.inFlight);
  meter.read(INSTRUMENTS.refused, () => protection().inFlight.refused);
}

function readUpstreams(meter: Meter, upstreams: () => UpstreamStats): void {
  meter.read(INSTRUMENTS.targetUp, () =>
    upstreams().targets.map(({ name, condition }) => ({
      labels: [name],
      value: condition === 'ejected' || condition === 'down' ? 0 : 1,
    })),
  );
  meter.read(INSTRUMENTS.targetInFlight, () =>
    upstreams().targets.map(({ name, inFlight }) => ({ labels: [name], value: inFlight })),
  );
  meter.read(INSTRUMENTS.targetWeight, () =>
    upstreams().targets.map(({ name, weight }) => ({ labels: [name], value: weight })),
  );
  meter.read(INSTRUMENTS.targetEjections, () =>
    upstreams().targets.map(({ name, ejections }) => ({ labels: [name], value: ejections })),
  );
  const drops = (pick: 'late' | 'homeless' | 'slowClients'): Reading[] =>
    upstreams().drops.map((target) => ({ labels: [target.name], value: target[pick] }));
  meter.read(INSTRUMENTS.lateAnswers, () => drops('late'));
  meter.read(INSTRUMENTS.homeless, () => drops('homeless'));
  meter.read(INSTRUMENTS.slowClients, () => drops('slowClients'));
  readBridge(meter, () => upstreams().bridge);
  readCombined(meter, () => upstreams().combined);
  readMirror(meter, () => upstreams().mirror);
  readProtection(meter, () => upstreams().protection);
  meter.read(INSTRUMENTS.pool, () =>
    upstreams().pools.flatMap(({ name, stats }) =>
      (['idle', 'leased', 'opening', 'closing'] as const).map((state) => ({
        labels: [name, state],
        value: stats[state],
      })),
    ),
  );
  meter.read(INSTRUMENTS.poolMax, () => upstreams().pools.map(({ name, max }) => ({ labels: [name], value: max })));
  meter.read(INSTRUMENTS.poolEvents, () =>
    upstreams().pools.flatMap(({ name, stats }) =>
      Object.entries({
        opened: stats.spawned,
        failed: stats.failed,
        reopened: stats.reopened,
        spoiled: stats.spoiled,
        expired: stats.expired,
        refused: stats.refused,
      }).map(([event, value]) => ({ labels: [name, event], value })),
    ),
  );
  meter.read(INSTRUMENTS.poolWaiting, () =>
    upstreams().pools.map(({ name, stats }) => ({ labels: [name], value: stats.waiting })),
  );
  readChildren(meter, () => upstreams().children);
}

function readChildren(meter: Meter, children: () => UpstreamStats['children']): void {
  meter.read(INSTRUMENTS.children, () => children().map(({ name, alive }) => ({ labels: [name], value: alive })));
  meter.read(INSTRUMENTS.spareChildren, () =>
    children().map(({ name, spares }) => ({ labels: [name], value: spares })),
  );
  meter.read(INSTRUMENTS.spawns, () =>
    children().flatMap(({ name, started, failed }) => [
      { labels: ['ok', name], value: started },
      { labels: ['failed', name], value: failed },
    ]),
  );
  meter.read(INSTRUMENTS.childExits, () =>
    children().flatMap(({ name, exits }) =>
      Object.entries(exits).map(([reason, value]) => ({ labels: [reason, name], value })),
    ),
  );
}

/** Without a mirror there is nothing to read. */
function readMirror(meter: Meter, mirror: () => UpstreamStats['mirror']): void {
  const readings = (pick: 'inFlight' | 'sessions') => (): readonly Reading[] => {
    const stats = mirror();
    return stats === undefined ? [] : [{ value: stats[pick] }];
  };
  meter.read(INSTRUMENTS.mirrorInFlight, readings('inFlight'));
  meter.read(INSTRUMENTS.mirrorSessions, readings('sessions'));
}

function readCombined(meter: Meter, combined: () => UpstreamStats['combined']): void {
  meter.read(INSTRUMENTS.combinedPartial, () =>
    combined().map(({ name, partial }) => ({ labels: [name], value: partial })),
  );
  meter.read(INSTRUMENTS.combinedListeners, () =>
    combined().map(({ name, listeners }) => ({ labels: [name], value: listeners })),
  );
  meter.read(INSTRUMENTS.combinedMissing, () =>
    combined().flatMap(({ name, missing }) =>
      Object.entries(missing).map(([member, value]) => ({ labels: [name, member], value })),
    ),
  );
}

function readBridge(meter: Meter, bridge: () => BridgingStats | undefined): void {
  meter.read(INSTRUMENTS.bridgeQuestions, () => bridge()?.questions ?? 0);
  meter.read(INSTRUMENTS.bridgeQuestionsLost, () =>
    Object.entries(bridge()?.lost ?? {}).map(([reason, value]) => ({ labels: [reason], value })),
  );
  meter.read(INSTRUMENTS.bridgeSessions, () =>
    (bridge()?.targets ?? []).map(({ name, sessions }) => ({ labels: [name], value: sessions })),
  );
  meter.read(INSTRUMENTS.bridgeSessionsRefused, () =>
    (bridge()?.targets ?? []).map(({ name, refused }) => ({ labels: [name], value: refused })),
  );
}
