import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@shadowcat/kernel';
import type { SessionRecord } from '@shadowcat/session';
import { ManualClock, sessionStoreCompliance, settled } from '@shadowcat/testkit';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStore } from '../src/open-store.js';

let folder = '';
let clock = new ManualClock();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shadowcat-store-'));
  clock = new ManualClock();
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const file = (): string => join(folder, 'deeper', 'state.db');
const open = (path = file()) => openStore(`sqlite:${path}`, { clock, log: silentLog });
const record = (id: string, parts: Partial<SessionRecord> = {}): SessionRecord => ({
  id,
  credential: '',
  createdAt: 1,
  touchedAt: 2,
  initializeText: '{}',
  subscriptions: [],
  ...parts,
});
/** Looks into the file with a connection of its own. */
function peek<T>(query: string): T[] {
  const db = new Sqlite(file());
  try {
    return db.prepare(query).all() as T[];
  } finally {
    db.close();
  }
}
function spoil(statement: string): void {
  const db = new Sqlite(file());
  db.exec(statement);
  db.close();
}

sessionStoreCompliance({ describe, it, expect }, { name: 'the SQLite store', open, reopen: open });
sessionStoreCompliance(
  { describe, it, expect },
  { name: 'the store memory:', open: () => openStore('memory:', { clock, log: silentLog }) },
);

describe('the SQLite store writes behind', () => {
  it('in one batch, half a second after the first write that waits', async () => {
    const store = await open();
    store.put(record('a'));
    clock.advance(300);
    store.put(record('b'));
    clock.advance(199);
    await settled();
    expect(peek('select id from session')).toEqual([]);
    await clock.pass(1);
    await store.flush();
    expect(peek('select id from session order by id')).toEqual([{ id: 'a' }, { id: 'b' }]);
    expect(clock.pending).toBe(0);
    await store.close();
  });

  it('sets no timer when nothing is to be written', async () => {
    const store = await open();
    expect(clock.pending).toBe(0);
    store.touch('a', 1);
    expect(clock.pending).toBe(1);
    await store.flush();
    expect(clock.pending).toBe(0);
    await store.close();
  });

  it('keeps what it could not write, says so, and recovers', async () => {
    const store = await open();
    spoil('alter table session rename to session_gone');
    store.put(record('a'));
    store.touch('a', 50);
    await expect(store.flush()).rejects.toMatchObject({ code: 'store_failed' });
    expect(await store.health()).toMatchObject({ ok: false, pending: 1 });
    expect((await store.load('a'))?.touchedAt).toBe(50);
    spoil('alter table session_gone rename to session');
    store.touch('a', 60);
    await clock.pass(1000);
    await store.flush();
    expect(await store.health()).toMatchObject({ ok: true, pending: 0 });
    expect(peek('select id, touched_at as at from session')).toEqual([{ id: 'a', at: 60 }]);
    await store.close();
  });

  it('says what went wrong, also when SQLite has given up the transaction by itself', async () => {
    const store = await open();
    spoil("create trigger full before insert on session begin select raise(rollback, 'no room'); end");
    store.put(record('a'));
    await expect(store.flush()).rejects.toThrow('no room');
    expect((await store.health()).problem).toContain('no room');
    spoil('drop trigger full');
    await store.close();
  });

  it('ignores what comes after it was closed', async () => {
    const store = await open();
    await store.close();
    store.put(record('a'));
    expect(clock.pending).toBe(0);
    expect(peek('select id from session')).toEqual([]);
  });
});

describe('the SQLite file', () => {
  it('is made with its folder, for its owner only, and leaves nothing beside it when closed', async () => {
    const store = await open();
    store.put(record('a'));
    await store.flush();
    for (const name of [file(), `${file()}-wal`, `${file()}-shm`]) expect(statSync(name).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'deeper')).mode & 0o777).toBe(0o700);
    await store.close();
    expect(existsSync(`${file()}-wal`)).toBe(false);
  });

  it('is made once when several proxies are started at the same time', async () => {
    for (let round = 0; round < 10; round += 1) {
      const path = join(folder, `round-${round}`, 'state.db');
      let over = false;
      const opening = Promise.all(Array.from({ length: 6 }, () => open(path))).finally(() => {
        over = true;
      });
      opening.catch(() => undefined);
      while (!over) {
        await settled();
        clock.advance(10);
      }
      for (const store of await opening) await store.close();
    }
  });

  it('is taken from others who could read it', async () => {
    await (await open()).close();
    chmodSync(file(), 0o644);
    await (await open()).close();
    expect(statSync(file()).mode & 0o777).toBe(0o600);
  });

  it('survives the end of the process without a close', async () => {
    const store = await open();
    store.put(record('a'));
    await store.flush();
    const second = await open();
    expect(await second.load('a')).toEqual(record('a'));
    await second.close();
    await store.close();
  });
});

describe('opening a store fails in one plain line', () => {
  const failure = async (url: string): Promise<string> => {
    const problem = await openStore(url, { clock, log: silentLog }).then(
      async (store) => {
        await store.close();
        return undefined;
      },
      (error: unknown) => error as Error,
    );
    expect(problem).toMatchObject({ code: 'store_failed' });
    expect(problem?.message).not.toContain('\n');
    return problem?.message ?? '';
  };

  it.each(['postgres://localhost/x', 'state.db', 'sqlite:', ''])('for the URL %j', async (url) => {
    expect(await failure(url)).toContain('use sqlite:PATH or memory:');
  });

  it('when the file is no database', async () => {
    const path = join(folder, 'text.db');
    writeFileSync(path, 'this is a text, and long enough to be taken for something. '.repeat(50));
    expect(await failure(`sqlite:${path}`)).toBe(
      `The session store ${path} cannot be used: it is no SQLite database (SQLITE_NOTADB); move the file away or name another with --store.`,
    );
  });

  it('when the file is damaged', async () => {
    const store = await open();
    for (let i = 0; i < 200; i += 1) store.put(record(`s${i}`, { initializeText: 'x'.repeat(1000) }));
    await store.close();
    const { size } = statSync(file());
    const db = new Sqlite(file());
    const bytes = db.serialize();
    db.close();
    bytes.fill(0x5a, 8192, Math.min(size, 40_960));
    writeFileSync(file(), bytes);
    expect(await failure(`sqlite:${file()}`)).toContain('it is damaged (SQLITE_CORRUPT)');
  });

  it('when the path is a folder', async () => {
    mkdirSync(file(), { recursive: true });
    expect(await failure(`sqlite:${file()}`)).toContain('it is a folder (EISDIR)');
  });

  it('when a part of the path is a file', async () => {
    writeFileSync(join(folder, 'deeper'), '');
    expect(await failure(`sqlite:${file()}`)).toMatch(/a part of its path is no folder \(E(EXIST|NOTDIR)\)/);
  });

  it('when its folder can be made by nobody', async () => {
    // The system says for ever that what is above it does not exist; some say that it may not be written.
    expect(await failure('sqlite:/proc/shadowcat-no-such-process/deeper/state.db')).toMatch(
      /cannot be used: .+\(E(NOENT|ACCES|PERM|ROFS)\); /,
    );
  });

  it("when it is another program's database", async () => {
    mkdirSync(join(folder, 'deeper'));
    spoil('create table invoices (id integer)');
    expect(await failure(`sqlite:${file()}`)).toContain('the database of another program (table invoices)');
  });

  it('when a newer version wrote it', async () => {
    await (await open()).close();
    spoil("insert into kysely_migration values ('9999-later', '2030-01-01T00:00:00.000Z')");
    expect(await failure(`sqlite:${file()}`)).toContain('a newer version of shadowcat wrote it (9999-later)');
  });

  it('when another process keeps it locked', async () => {
    await (await open()).close();
    const db = new Sqlite(file());
    db.pragma('locking_mode = EXCLUSIVE');
    db.exec('begin exclusive');
    try {
      expect(await failure(`sqlite:${file()}`)).toContain('another process keeps it locked');
    } finally {
      db.close();
    }
  });
});

describe('health', () => {
  it('is good when the file can be written, and says where it is', async () => {
    const store = await open();
    expect(await store.health()).toEqual({ ok: true, kind: 'sqlite', where: file(), pending: 0 });
    await store.close();
  });

  it('finds out by itself that the database cannot be written', async () => {
    const store = await open();
    spoil('drop table probe');
    clock.advance(10_000);
    expect(await store.health()).toMatchObject({ ok: false, where: file() });
    await store.close();
  });

  it('is bad when the file was removed or replaced', async () => {
    const store = await open();
    renameSync(file(), join(folder, 'elsewhere.db'));
    expect(await store.health()).toMatchObject({ ok: false });
    writeFileSync(file(), '');
    const { ok, problem } = await store.health();
    expect(ok).toBe(false);
    expect(problem).toContain('removed or replaced');
    await store.close();
  });

  it('of the memory store is always good', async () => {
    const store = await openStore('memory:', { clock, log: silentLog });
    expect(await store.health()).toEqual({ ok: true, kind: 'memory', where: '', pending: 0 });
  });
});
