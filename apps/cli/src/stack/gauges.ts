import { INSTRUMENTS, type MeasureLayer, type Meter } from '@shadowcat/metrics';
import type { SessionLayer } from '@shadowcat/session';
import type { StoreHealth } from '@shadowcat/store';
import type { RecorderState } from '@shadowcat/tape';
import type { ListenerStats } from '@shadowcat/transport-http';
import type { ResumptionLayer } from '@shadowcat/transport-sse';
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
  }
  if (upstreams !== undefined) readUpstreams(meter, upstreams);
  if (recorder !== undefined) {
    meter.read(INSTRUMENTS.recorderUp, () => (recorder().status === 'failing' ? 0 : 1));
    meter.read(INSTRUMENTS.recorderRecords, () => recorder().records);
    meter.read(INSTRUMENTS.recorderDropped, () => recorder().lost);
  }
  if (store !== undefined) meter.read(INSTRUMENTS.storeUp, () => ((store()?.ok ?? true) ? 1 : 0));
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

function readUpstreams(meter: Meter, upstreams: () => UpstreamStats): void {
  meter.read(INSTRUMENTS.targetUp, () =>
    upstreams().targets.map(({ name, condition }) => ({ labels: [name], value: condition === 'ejected' ? 0 : 1 })),
  );
  meter.read(INSTRUMENTS.targetEjections, () =>
    upstreams().targets.map(({ name, ejections }) => ({ labels: [name], value: ejections })),
  );
  meter.read(INSTRUMENTS.lateAnswers, () => upstreams().lateAnswers);
  meter.read(INSTRUMENTS.pool, () =>
    upstreams().pools.flatMap(({ name, stats }) =>
      (['idle', 'leased', 'opening', 'closing'] as const).map((state) => ({
        labels: [name, state],
        value: stats[state],
      })),
    ),
  );
  meter.read(INSTRUMENTS.poolWaiting, () =>
    upstreams().pools.map(({ name, stats }) => ({ labels: [name], value: stats.waiting })),
  );
  meter.read(INSTRUMENTS.children, () => upstreams().children);
  meter.read(INSTRUMENTS.spawns, () => {
    const { started, failed } = upstreams().spawns;
    return [
      { labels: ['ok'], value: started },
      { labels: ['failed'], value: failed },
    ];
  });
  meter.read(INSTRUMENTS.childExits, () =>
    Object.entries(upstreams().exits).map(([reason, value]) => ({ labels: [reason], value })),
  );
}
