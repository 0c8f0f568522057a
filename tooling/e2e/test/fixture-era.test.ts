import { expect, it } from 'vitest';
import { connectV1 } from '../src/client-v1.js';
import { connectV2 } from '../src/client-v2.js';
import { fixtureServer, startFixture } from '../src/servers.js';
import type { Target } from '../src/test-client.js';

/** The fixture with one era only answers the other as a server does that has never heard of it. */

async function refuses(era: 'legacy' | 'modern', target: Target): Promise<void> {
  await using v1 = era === 'legacy' ? await connectV1(target) : undefined;
  await using pinned = era === 'modern' ? await connectV2(target, { mode: 'pinned' }) : undefined;
  await using auto = await connectV2(target, { mode: 'auto' });
  expect([v1?.era, pinned?.era, auto.era].filter((served) => served !== undefined)).toEqual([era, era]);
  const other = era === 'legacy' ? connectV2(target, { mode: 'pinned' }) : connectV1(target);
  await expect(other).rejects.toThrow();
}

it.each(['legacy', 'modern'] as const)('serves %s clients only over HTTP', async (era) => {
  await using fixture = await startFixture(['--era', era]);
  await refuses(era, { url: fixture.url });
});

it.each(['legacy', 'modern'] as const)('serves %s clients only over stdio', async (era) => {
  await refuses(era, fixtureServer(['--era', era]).target);
});
