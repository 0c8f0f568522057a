import type { SessionRecord } from '@shadowcat/session';
import type { Json } from '@shadowcat/wire';

/** A session as a row. Times are epoch milliseconds; what is JSON is kept as its text. */
export interface SessionRow {
  id: string;
  credential: string;
  created_at: number;
  touched_at: number;
  initialize: string;
  result: string | null;
  protocol_version: string | null;
  target: string | null;
  upstream_id: string | null;
  log_level: string | null;
  subscriptions: string;
}

/** A stream whose events are kept. */
export interface StreamRow {
  id: string;
  session: string;
  standing: number;
  /** A JSON list of the JSON texts of request ids. */
  owed: string;
  upstream_id: string | null;
  first: number;
  next: number;
  unsent: number;
  ended_at: number | null;
}

/** An event of a stream, as it is sent. */
export interface EventRow {
  stream: string;
  seq: number;
  bytes: Uint8Array;
}

/** The tables of the newest schema; how they came to be is in `migrations.ts`. */
export interface Schema {
  session: SessionRow;
  stream: StreamRow;
  event: EventRow;
  /** One row, written to find out whether the database can be written. */
  probe: { id: number; at: number };
}

export function toRow(record: SessionRecord): SessionRow {
  return {
    id: record.id,
    credential: record.credential,
    created_at: Math.round(record.createdAt),
    touched_at: Math.round(record.touchedAt),
    initialize: record.initializeText,
    result: record.initializeResult === undefined ? null : JSON.stringify(record.initializeResult),
    protocol_version: record.protocolVersion ?? null,
    target: record.upstream?.target ?? null,
    upstream_id: record.upstream?.sessionId ?? null,
    log_level: record.logLevel ?? null,
    subscriptions: JSON.stringify(record.subscriptions),
  };
}

export function fromRow(row: SessionRow): SessionRecord {
  return {
    id: row.id,
    credential: row.credential,
    createdAt: row.created_at,
    touchedAt: row.touched_at,
    initializeText: row.initialize,
    subscriptions: JSON.parse(row.subscriptions) as readonly string[],
    ...(row.result === null ? {} : { initializeResult: JSON.parse(row.result) as Json }),
    ...(row.protocol_version === null ? {} : { protocolVersion: row.protocol_version }),
    ...(row.target === null ? {} : { upstream: bindingOf(row.target, row.upstream_id) }),
    ...(row.log_level === null ? {} : { logLevel: row.log_level }),
  };
}

function bindingOf(target: string, sessionId: string | null): NonNullable<SessionRecord['upstream']> {
  return sessionId === null ? { target } : { target, sessionId };
}
