import type { ConformanceReport, Requirements } from '../conformance.js';
import { type FixtureEra, type FixtureWire, fixtureDirect, fixtureProxied } from '../conformance-runs.js';
import { inTurns } from '../in-turns.js';

/** Clients of one era in front of the fixture with the other era only. */
export interface Crossing {
  /** The suite that plays the clients. */
  readonly requirements: Requirements;
  /** All that the fixture speaks. */
  readonly era: Exclude<FixtureEra, 'both'>;
  readonly title: string;
}

export const CROSSINGS: readonly Crossing[] = [
  { requirements: '2026-07-28', era: 'legacy', title: 'Clients of 2026-07-28, a server that speaks 2025-11-25' },
  { requirements: '2025-11-25', era: 'modern', title: 'Clients of 2025-11-25, a server that speaks 2026-07-28' },
];

export const WIRES: readonly FixtureWire[] = ['http', 'stdio'];

/** What the suite found for one crossing. */
export interface Crossed {
  readonly crossing: Crossing;
  /** The fixture with both eras, without the proxy. */
  readonly direct: ConformanceReport;
  readonly http: ConformanceReport;
  readonly stdio: ConformanceReport;
}

/** Runs at the same time: the suite waits more than it computes. */
const AT_ONCE = 3;

type Place = 'direct' | FixtureWire;

export async function runBridge(): Promise<Crossed[]> {
  const places: readonly Place[] = ['direct', ...WIRES];
  const runs = CROSSINGS.flatMap((crossing) => places.map((place) => ({ crossing, place })));
  const reports = await inTurns(runs, AT_ONCE, ({ crossing: { requirements, era }, place }) =>
    place === 'direct' ? fixtureDirect(requirements) : fixtureProxied({ requirements, era, wire: place }),
  );
  const reportOf = (crossing: Crossing, place: Place): ConformanceReport => {
    const report = reports[runs.findIndex((run) => run.crossing === crossing && run.place === place)];
    if (report === undefined) throw new Error(`no run of ${crossing.title}, ${place}`);
    return report;
  };
  return CROSSINGS.map((crossing) => ({
    crossing,
    direct: reportOf(crossing, 'direct'),
    http: reportOf(crossing, 'http'),
    stdio: reportOf(crossing, 'stdio'),
  }));
}
