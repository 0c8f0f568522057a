import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProxyError, silentLog } from '@shadowcat/kernel';
import type { EventStore, StoredEvent, StreamRecord } from '@shadowcat/session';
import { ManualClock } from '@shadowcat/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../src/health.js';
import { openStore } from '../src/open-store.js';

let folder = '';
let store: Store;

const open = () => openStore(`sqlite:${join(folder, 'state.db')}`, { clock: new ManualClock(), log: silentLog });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shadowcat-events-'));
  store = await open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

function events(): EventStore {
  if (store.events === undefined) throw new Error('no events in this store');
  return store.events;
}

const stream = (id: string, parts: Partial<StreamRecord> = {}): StreamRecord => ({
  id,
  session: 's',
  standing: false,
  owed: ['1', '"two"', '9007199254740993'],
  first: 0,
  next: 2,
  unsent: 1,
  ...parts,
});
const event = (id: string, seq: number, bytes = new Uint8Array([0, 255, seq % 256])): StoredEvent => ({
  stream: id,
  seq,
  bytes,
});
const session = (id: string) => ({
  id,
  credential: '',
  createdAt: 1,
  touchedAt: 2,
  initializeText: '{}',
  subscriptions: [],
});

describe('kept events in SQLite', () => {
  it('come back as they were, also after the store was closed, and to their session only', async () => {
    const full = stream('b', { standing: true, owed: [], upstreamId: 'ü 1', endedAt: 77 });
    // Views into larger buffers, as chunks of a socket are.
    const view = new Uint8Array([9, 1, 2, 3, 9]).subarray(1, 4);
    await events().write({ streams: [stream('a'), full], events: [event('a', 0), event('a', 1, view)], removed: [] });
    await store.close();
    store = await open();
    expect(await events().load('s')).toEqual([
      { stream: stream('a'), events: [event('a', 0), event('a', 1, new Uint8Array([1, 2, 3]))] },
      { stream: full, events: [] },
    ]);
    expect(await events().load('other')).toEqual([]);
  });

  it('are added to, in order, while those that are not kept any more go', async () => {
    await events().write({ streams: [stream('a')], events: [event('a', 0), event('a', 1)], removed: [] });
    const many = Array.from({ length: 350 }, (_, index) => event('a', index + 2));
    const later = stream('a', { owed: [], first: 100, next: 352, unsent: 300, upstreamId: 'x', endedAt: 5 });
    await events().write({ streams: [later], events: many, removed: [] });
    const [kept] = await events().load('s');
    expect(kept?.stream).toEqual(later);
    expect(kept?.events.map(({ seq }) => seq)).toEqual(Array.from({ length: 252 }, (_, index) => index + 100));
  });

  it('may be written twice, when it is not known whether the first time went well', async () => {
    const batch = { streams: [stream('a')], events: [event('a', 0), event('a', 1)], removed: [] };
    await events().write(batch);
    await events().write(batch);
    expect((await events().load('s'))[0]?.events.length).toBe(2);
  });

  it('are removed by name', async () => {
    const both = [stream('a'), stream('b')];
    await events().write({ streams: both, events: [event('a', 0), event('b', 0)], removed: [] });
    await events().write({ streams: [], events: [], removed: ['a', 'never was'] });
    expect((await events().load('s')).map((each) => each.stream.id)).toEqual(['b']);
    await events().write({ streams: [stream('a')], events: [], removed: [] });
    expect((await events().load('s')).find((each) => each.stream.id === 'a')?.events).toEqual([]);
  });

  it('go with their session, whether it is removed or expires', async () => {
    for (const id of ['s1', 's2', 's3']) store.put(session(id));
    await store.flush();
    store.touch('s3', 100);
    const streams = ['s1', 's2', 's3'].map((id) => stream(`of-${id}`, { session: id }));
    await events().write({ streams, events: streams.map(({ id }) => event(id, 0)), removed: [] });
    store.remove('s1');
    await store.flush();
    expect(await events().load('s1')).toEqual([]);
    expect((await events().load('s2')).length).toBe(1);
    expect((await store.prune({ before: 50, keep: 10 })).map(({ id }) => id)).toEqual(['s2']);
    expect(await events().load('s2')).toEqual([]);
    expect((await events().load('s3'))[0]?.events.length).toBe(1);
  });

  it('are all written or none, and a failure says so in plain words', async () => {
    const wrong = { ...event('a', 0), seq: 'no number' as unknown as number };
    const writing = events().write({ streams: [stream('a')], events: [wrong], removed: [] });
    await expect(writing).rejects.toBeInstanceOf(ProxyError);
    expect(await events().load('s')).toEqual([]);
  });
});
