import type { Clock, Log } from '@shadowcat/kernel';
import type { EventStore, SessionRecord } from '@shadowcat/session';
import { Kysely, SqliteDialect, sql, type Transaction } from 'kysely';
import { Migrator } from 'kysely/migration';
import { chunks } from './chunks.js';
import type { Store, StoreHealth } from './health.js';
import { KNOWN_MIGRATIONS, migrationProvider } from './migrations.js';
import { foreignStore, storeProblem } from './problems.js';
import { fromRow, type Schema, type SessionRow, toRow } from './schema.js';
import { removeOrphans, removeStreamsOf, sqliteEvents } from './sqlite-events.js';
import { fileWatch, openDatabase } from './sqlite-file.js';
import { type WriteBatch, WriteBehind } from './write-behind.js';

export interface StoreComponents {
  readonly clock: Clock;
  readonly log: Log;
}

/** Health writes a probe when nothing was written for this long. */
const PROBE_AFTER_MS = 10_000;

/** Opens the database at `path` (absolute). Rejects with `ProxyError('store_failed')`, one plain line. */
export async function openSqliteStore(path: string, components: StoreComponents): Promise<Store> {
  let db: Kysely<Schema> | undefined;
  try {
    const database = await openDatabase(path);
    db = new Kysely<Schema>({ dialect: new SqliteDialect({ database: database as never }) });
    await migrate(db, path, components.clock);
    const store = new SqliteStore(path, db, components);
    await store.probe();
    return store;
  } catch (error) {
    await db?.destroy();
    throw storeProblem(error, path);
  }
}

/** How long opening waits for others that bring the same database up to date, and how often it looks. */
const OTHERS_MS = 2_000;
const LOOK_AGAIN_MS = 50;

async function migrate(db: Kysely<Schema>, path: string, clock: Clock): Promise<void> {
  const deadline = clock.now() + OTHERS_MS;
  for (;;) {
    await refuseForeign(db, path);
    const { error } = await new Migrator({ db, provider: migrationProvider }).migrateToLatest();
    if (error === undefined) return;
    // SQLite has no lock for it (kysely leaves that to a single connection), and each migration can be run again.
    if (!isOfOthers(error) || clock.now() >= deadline) throw error;
    await new Promise<void>((resolve) => clock.timer(LOOK_AGAIN_MS, resolve));
  }
}

/** What a migration fails with when another proxy does the same at the same moment. */
function isOfOthers(error: unknown): boolean {
  const { code = '', message = '' } = error as { readonly code?: string; readonly message?: string };
  return (
    /^SQLITE_(BUSY|LOCKED|CONSTRAINT)/.test(code) || (code === 'SQLITE_ERROR' && message.includes('already exists'))
  );
}

async function refuseForeign(db: Kysely<Schema>, path: string): Promise<void> {
  const tables = (await db.introspection.getTables({ withInternalKyselyTables: true })).map(({ name }) => name);
  if (tables.includes('kysely_migration')) {
    const done = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
    const unknown = done.rows.find(({ name }) => !KNOWN_MIGRATIONS.has(name));
    if (unknown !== undefined) {
      const what = `a newer version of shadowcat wrote it (${unknown.name}); update shadowcat or name another with --store`;
      throw foreignStore(path, what);
    }
  } else if (tables.length > 0) {
    throw foreignStore(path, `it is the database of another program (table ${tables[0]}); name another with --store`);
  }
}

class SqliteStore implements Store {
  readonly events: EventStore;
  readonly #path: string;
  readonly #db: Kysely<Schema>;
  readonly #clock: Clock;
  readonly #behind: WriteBehind;
  readonly #isThere: () => boolean;
  #wroteAt = Number.NEGATIVE_INFINITY;
  #probeFailure: Error | undefined;
  #closing: Promise<void> | undefined;

  constructor(path: string, db: Kysely<Schema>, components: StoreComponents) {
    this.#path = path;
    this.#db = db;
    this.#clock = components.clock;
    this.#isThere = fileWatch(path);
    this.#behind = new WriteBehind({ ...components, write: (batch) => this.#write(batch) });
    this.events = sqliteEvents({ atOnce: (work) => this.#atOnce(work) });
  }

  async load(id: string): Promise<SessionRecord | undefined> {
    const pending = this.#behind.peek(id);
    if (pending?.kind === 'put') return pending.record;
    if (pending?.kind === 'remove') return undefined;
    let row: SessionRow | undefined;
    try {
      row = await this.#db.selectFrom('session').selectAll().where('id', '=', id).executeTakeFirst();
    } catch (error) {
      throw storeProblem(error, this.#path);
    }
    if (row === undefined) return undefined;
    return fromRow(pending === undefined ? row : { ...row, touched_at: pending.at });
  }

  put(record: SessionRecord): void {
    this.#behind.add(record.id, { kind: 'put', record });
  }

  touch(id: string, at: number): void {
    this.#behind.add(id, { kind: 'touch', at });
  }

  remove(id: string): void {
    this.#behind.add(id, { kind: 'remove' });
  }

  async prune({ before, keep }: { readonly before: number; readonly keep: number }): Promise<readonly SessionRecord[]> {
    await this.flush();
    return this.#atOnce(async (tx) => {
      const idle = await tx.deleteFrom('session').where('touched_at', '<', before).returningAll().execute();
      const beyond = tx.selectFrom('session').select('id').orderBy('touched_at', 'desc').limit(-1).offset(keep);
      const excess = await tx.deleteFrom('session').where('id', 'in', beyond).returningAll().execute();
      await removeOrphans(tx);
      return [...idle, ...excess].map(fromRow);
    });
  }

  flush(): Promise<void> {
    return this.#behind.flush();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#behind.close();
    try {
      await this.#behind.flush();
    } finally {
      await this.#db.destroy();
    }
  }

  async health(): Promise<StoreHealth> {
    if (this.#closing === undefined && this.#clock.now() - this.#wroteAt >= PROBE_AFTER_MS) {
      try {
        await this.probe();
      } catch {
        // Told below.
      }
    }
    const pending = this.#behind.size;
    const failure = this.#behind.failure ?? this.#probeFailure ?? this.#lost();
    const state = { kind: 'sqlite', where: this.#path, pending } as const;
    return failure === undefined ? { ok: true, ...state } : { ok: false, ...state, problem: failure.message };
  }

  /** Writes something, to know whether that can be done. Rejects when not. */
  async probe(): Promise<void> {
    const row = { id: 1, at: Math.round(this.#clock.wall()) };
    try {
      await this.#db
        .insertInto('probe')
        .values(row)
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ at: row.at }))
        .execute();
      this.#probeFailure = undefined;
      this.#wroteAt = this.#clock.now();
    } catch (error) {
      this.#probeFailure = storeProblem(error, this.#path);
      throw this.#probeFailure;
    }
  }

  /** SQLite goes on writing into a file that was deleted, and nobody would find the sessions again. */
  #lost(): Error | undefined {
    if (this.#closing !== undefined || this.#isThere()) return undefined;
    return foreignStore(this.#path, 'the file was removed or replaced while it was in use; start shadowcat again');
  }

  async #write(batch: WriteBatch): Promise<void> {
    const { puts, touches, removes } = sorted(batch);
    await this.#atOnce(async (tx) => {
      for await (const rows of chunks(puts)) await upsert(tx, rows);
      for await (const rows of chunks(touches)) await touchAll(tx, rows);
      for await (const ids of chunks(removes)) {
        await tx.deleteFrom('session').where('id', 'in', ids).execute();
        await removeStreamsOf(tx, ids);
      }
    });
    this.#probeFailure = undefined;
    this.#wroteAt = this.#clock.now();
  }

  /** All of it or nothing. SQLite rolls some failures back by itself (a full disk); the first error has the reason. */
  async #atOnce<T>(work: (tx: Transaction<Schema>) => Promise<T>): Promise<T> {
    let first: unknown;
    try {
      return await this.#db.transaction().execute((tx) =>
        work(tx).catch((error: unknown) => {
          first = error;
          throw error;
        }),
      );
    } catch (error) {
      throw storeProblem(first ?? error, this.#path);
    }
  }
}

function upsert(tx: Transaction<Schema>, rows: readonly SessionRow[]): Promise<unknown> {
  return tx
    .insertInto('session')
    .values(rows)
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet(({ ref }) => ({
        credential: ref('excluded.credential'),
        touched_at: ref('excluded.touched_at'),
        initialize: ref('excluded.initialize'),
        result: ref('excluded.result'),
        protocol_version: ref('excluded.protocol_version'),
        target: ref('excluded.target'),
        upstream_id: ref('excluded.upstream_id'),
        log_level: ref('excluded.log_level'),
        subscriptions: ref('excluded.subscriptions'),
      })),
    )
    .execute();
}

function touchAll(tx: Transaction<Schema>, rows: readonly Touch[]): Promise<unknown> {
  const values = sql.join(rows.map(({ id, at }) => sql`(${id}, ${at})`));
  return sql`with used(id, at) as (values ${values})
    update session set touched_at = used.at from used where session.id = used.id`.execute(tx);
}

interface Touch {
  readonly id: string;
  readonly at: number;
}

function sorted(batch: WriteBatch): { puts: SessionRow[]; touches: Touch[]; removes: string[] } {
  const puts: SessionRow[] = [];
  const touches: Touch[] = [];
  const removes: string[] = [];
  for (const [id, write] of batch) {
    if (write.kind === 'put') puts.push(toRow(write.record));
    else if (write.kind === 'touch') touches.push({ id, at: Math.round(write.at) });
    else removes.push(id);
  }
  return { puts, touches, removes };
}
