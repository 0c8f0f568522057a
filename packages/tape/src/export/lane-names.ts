import { NO_SESSION, type SessRecord, type Tape } from '../records.js';

/** A tape among those that are exported together. */
export interface ExportedTape {
  readonly tape: Tape;
  /** `s1` becomes this; where there are several tapes their sessions are told apart: `2.s1`. */
  readonly laneName: (s: string) => string;
}

export function exportedTapes(tapes: readonly Tape[]): readonly ExportedTape[] {
  return tapes.map((tape, index) => ({ tape, laneName: (s) => (tapes.length === 1 ? s : `${index + 1}.${s}`) }));
}

/** What was learned of a lane's session; of one that said it twice, the first. */
export function sessionsOf(tape: Tape): ReadonlyMap<string, SessRecord> {
  const sessions = new Map<string, SessRecord>();
  for (const record of tape.records) {
    if (record.k === 'sess' && !sessions.has(record.s)) sessions.set(record.s, record);
  }
  return sessions;
}

/** Who talks to whom in a lane, on one line. `shown`: what the lane is called. */
export function laneTitle(s: string, shown: string, session: SessRecord | undefined): string {
  const name = s === NO_SESSION ? 'without a session' : `session ${shown}`;
  if (session === undefined) return name;
  const { era, version, client, server } = session;
  const who = [client, server].map((info) => [info?.['name'], info?.['version']].filter(isText).join(' '));
  const between = who.some((it) => it !== '') ? [who.map((it) => (it === '' ? '?' : it)).join(' and ')] : [];
  return [name, version === undefined ? era : `${era} ${version}`, ...between].join(', ');
}

const isText = (value: unknown): value is string => typeof value === 'string';
