import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { goldenOf, readTape, soundTape, TAPE_VERSION, type Tape, withBlobs } from '../src/index.js';
import { MIGRATIONS, migrationFrom } from '../src/migrate.js';
import { newDigest, replayRig, TestClient } from './support/rig.js';

/** One capture and one golden tape of every version that ever was. They are never changed. */
const TAPES = join(import.meta.dirname, 'tapes');
const bytesIn = (path: string): Uint8Array => readFileSync(join(TAPES, path));
function tapeIn(name: string): Tape {
  const tape = soundTape(readTape(bytesIn(name), { name, newDigest }));
  return withBlobs(tape, bytesIn, newDigest);
}

describe.each(['capture', 'golden'])('a %s of every version', (form) => {
  const versions = Array.from({ length: TAPE_VERSION }, (_, index) => `v${index + 1}-${form}.tape.jsonl`);

  it('is there', () => {
    expect(readdirSync(TAPES)).toEqual(expect.arrayContaining(versions));
  });

  it.each(versions)('can be replayed: %s', async (name) => {
    const { replay } = replayRig([tapeIn(name)]);
    const client = new TestClient(replay);
    await client.open('client');
    const failed = await client.post({ jsonrpc: '2.0', id: 9, method: 'tools/call', params: { name: 'fail' } });
    expect(failed.status).toBe(500);
    expect(replay.summary()).toMatchObject({ served: 2, misses: [] });
    await replay.close();
  });

  it.each(versions)('has the golden form of this version: %s', (name) => {
    const made = goldenOf(tapeIn(name), { newDigest });
    const newest = new TextDecoder().decode(bytesIn(`v${TAPE_VERSION}-golden.tape.jsonl`));
    expect(made.lines.join('')).toBe(newest);
    for (const { path, bytes } of made.blobs) expect(bytesIn(path)).toEqual(Buffer.from(bytes));
  });
});

describe('the chain of migrations', () => {
  it('has a step for every version but the newest', () => {
    expect(MIGRATIONS).toHaveLength(TAPE_VERSION - 1);
    expect(migrationFrom(TAPE_VERSION)).toBeUndefined();
  });

  it('takes a record through every version between', () => {
    const chain = [2, 3, 4].map((version) => (line: string) => `${line}>${version}`);
    expect(migrationFrom(1, chain, 4)?.('1')).toBe('1>2>3>4');
    expect(migrationFrom(3, chain, 4)?.('3')).toBe('3>4');
    expect(migrationFrom(4, chain, 4)).toBeUndefined();
  });
});
