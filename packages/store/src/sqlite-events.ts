import type { EventStore, StoredEvent, StreamRecord } from '@shadowcat/session';
import type { Transaction } from 'kysely';
import { chunks } from './chunks.js';
import type { Schema, StreamRow } from './schema.js';

export interface SqliteEventsParts {
  /** All of it or nothing. */
  readonly atOnce: <T>(work: (tx: Transaction<Schema>) => Promise<T>) => Promise<T>;
}

/** Kept streams in SQLite. Whoever calls `write` collects what is to be written; here nothing waits. */
export function sqliteEvents({ atOnce }: SqliteEventsParts): EventStore {
  return {
    load: (session) =>
      atOnce(async (tx) => {
        const rows = await tx.selectFrom('stream').selectAll().where('session', '=', session).execute();
        if (rows.length === 0) return [];
        const ids = rows.map(({ id }) => id);
        const events = await tx.selectFrom('event').selectAll().where('stream', 'in', ids).orderBy('seq').execute();
        const byStream = Map.groupBy(events, ({ stream }) => stream);
        return rows.map((row) => ({ stream: fromStreamRow(row), events: (byStream.get(row.id) ?? []).map(plain) }));
      }),
    write: ({ streams, events, removed }) =>
      atOnce(async (tx) => {
        for await (const rows of chunks(streams.map(toStreamRow))) await upsertStreams(tx, rows);
        for await (const rows of chunks(events)) {
          const values = rows.map(({ stream, seq, bytes }) => ({
            stream,
            seq,
            bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
          }));
          await tx
            .insertInto('event')
            .values(values)
            .onConflict((conflict) => conflict.doNothing())
            .execute();
        }
        for (const { id, first } of streams) {
          if (first > 0) await tx.deleteFrom('event').where('stream', '=', id).where('seq', '<', first).execute();
        }
        for await (const ids of chunks(removed)) {
          await tx.deleteFrom('event').where('stream', 'in', ids).execute();
          await tx.deleteFrom('stream').where('id', 'in', ids).execute();
        }
      }),
  };
}

/** Removes what belongs to sessions that are not there. */
export async function removeOrphans(tx: Transaction<Schema>): Promise<void> {
  const sessions = tx.selectFrom('session').select('id');
  await tx.deleteFrom('stream').where('session', 'not in', sessions).execute();
  const streams = tx.selectFrom('stream').select('id');
  await tx.deleteFrom('event').where('stream', 'not in', streams).execute();
}

export async function removeStreamsOf(tx: Transaction<Schema>, sessions: readonly string[]): Promise<void> {
  const ids = tx.selectFrom('stream').select('id').where('session', 'in', sessions);
  await tx.deleteFrom('event').where('stream', 'in', ids).execute();
  await tx.deleteFrom('stream').where('session', 'in', sessions).execute();
}

function upsertStreams(tx: Transaction<Schema>, rows: readonly StreamRow[]): Promise<unknown> {
  return tx
    .insertInto('stream')
    .values(rows)
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet(({ ref }) => ({
        owed: ref('excluded.owed'),
        upstream_id: ref('excluded.upstream_id'),
        first: ref('excluded.first'),
        next: ref('excluded.next'),
        unsent: ref('excluded.unsent'),
        ended_at: ref('excluded.ended_at'),
      })),
    )
    .execute();
}

function toStreamRow(stream: StreamRecord): StreamRow {
  return {
    id: stream.id,
    session: stream.session,
    standing: stream.standing ? 1 : 0,
    owed: JSON.stringify(stream.owed),
    upstream_id: stream.upstreamId ?? null,
    first: stream.first,
    next: stream.next,
    unsent: stream.unsent,
    ended_at: stream.endedAt === undefined ? null : Math.round(stream.endedAt),
  };
}

function fromStreamRow(row: StreamRow): StreamRecord {
  return {
    id: row.id,
    session: row.session,
    standing: row.standing === 1,
    owed: JSON.parse(row.owed) as readonly string[],
    first: row.first,
    next: row.next,
    unsent: row.unsent,
    ...(row.upstream_id === null ? {} : { upstreamId: row.upstream_id }),
    ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
  };
}

/** better-sqlite3 gives a Buffer of its own for each blob. */
function plain({ stream, seq, bytes }: StoredEvent): StoredEvent {
  return { stream, seq, bytes: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}
