import { type Kysely, sql } from 'kysely';
import type { Migration, MigrationProvider } from 'kysely/migration';

/**
 * How a database gets from any earlier version to this one: forward only, in the order of the names, each once. A
 * migration that was released is never changed. Each can be run again after a crash in its middle, because SQLite's
 * migrations are not run in a transaction.
 */
const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-sessions': {
    async up(db: Kysely<never>) {
      await db.schema
        .createTable('session')
        .ifNotExists()
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('credential', 'text', (column) => column.notNull())
        .addColumn('created_at', 'integer', (column) => column.notNull())
        .addColumn('touched_at', 'integer', (column) => column.notNull())
        .addColumn('initialize', 'text', (column) => column.notNull())
        .addColumn('result', 'text')
        .addColumn('protocol_version', 'text')
        .addColumn('target', 'text')
        .addColumn('upstream_id', 'text')
        .addColumn('log_level', 'text')
        .addColumn('subscriptions', 'text', (column) => column.notNull())
        .modifyEnd(sql`strict`)
        .execute();
      await db.schema.createIndex('session_by_use').ifNotExists().on('session').column('touched_at').execute();
      await db.schema
        .createTable('probe')
        .ifNotExists()
        .addColumn('id', 'integer', (column) => column.primaryKey().notNull())
        .addColumn('at', 'integer', (column) => column.notNull())
        .modifyEnd(sql`strict`)
        .execute();
    },
  },
  '0002-events': {
    async up(db: Kysely<never>) {
      await db.schema
        .createTable('stream')
        .ifNotExists()
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('session', 'text', (column) => column.notNull())
        .addColumn('standing', 'integer', (column) => column.notNull())
        .addColumn('owed', 'text', (column) => column.notNull())
        .addColumn('upstream_id', 'text')
        .addColumn('first', 'integer', (column) => column.notNull())
        .addColumn('next', 'integer', (column) => column.notNull())
        .addColumn('unsent', 'integer', (column) => column.notNull())
        .addColumn('ended_at', 'integer')
        .modifyEnd(sql`strict`)
        .execute();
      await db.schema.createIndex('stream_by_session').ifNotExists().on('stream').column('session').execute();
      await db.schema
        .createTable('event')
        .ifNotExists()
        .addColumn('stream', 'text', (column) => column.notNull())
        .addColumn('seq', 'integer', (column) => column.notNull())
        .addColumn('bytes', 'blob', (column) => column.notNull())
        .addPrimaryKeyConstraint('event_place', ['stream', 'seq'])
        .modifyEnd(sql`strict, without rowid`)
        .execute();
    },
  },
};

/** The names of the migrations that this version knows. */
export const KNOWN_MIGRATIONS: ReadonlySet<string> = new Set(Object.keys(MIGRATIONS));

export const migrationProvider: MigrationProvider = { getMigrations: () => Promise.resolve({ ...MIGRATIONS }) };
