import { type ConformanceReport, type Requirements, runConformance, type Selection } from './conformance.js';
import { fixtureServer, startFixture } from './servers.js';
import { startShadowcat, workFolder } from './shadowcat.js';

export type FixtureEra = 'legacy' | 'modern' | 'both';
export type FixtureWire = 'http' | 'stdio';

/** A run of the suite against a proxy with the fixture behind it. */
export interface FixtureRun {
  readonly requirements: Requirements;
  /** The eras that the fixture speaks. */
  readonly era: FixtureEra;
  readonly wire: FixtureWire;
}

/** The suite against the fixture itself, with both eras: what everything else is compared with. */
export async function fixtureDirect(requirements: Requirements): Promise<ConformanceReport> {
  await using fixture = await startFixture();
  return await runConformance({ url: local(fixture.url), requirements });
}

/** The suite against `shadowcat reverse` with a fixture of its own. */
export async function fixtureProxied({ requirements, era, wire }: FixtureRun): Promise<ConformanceReport> {
  const flags = ['--era', era];
  if (wire === 'http') {
    await using fixture = await startFixture(flags);
    return await proxied(['--upstream', fixture.url], requirements);
  }
  const { command, args } = fixtureServer(flags).target;
  return await proxied(['--', command, ...args], requirements);
}

/** The suite against `shadowcat reverse` with these words. */
export async function proxied(words: readonly string[], requirements: Selection): Promise<ConformanceReport> {
  await using folder = await workFolder();
  await using proxy = await startShadowcat(['reverse', ...words], folder.path);
  return await runConformance({ url: local(proxy.url), requirements });
}

/** The suite wants to see the name, not the address: it tries other names for it. */
export function local(url: string): string {
  return url.replace('127.0.0.1', 'localhost');
}
