import { readMessage } from '@shadowcat/wire';
import type { ExchangeEnd, SessRecord, Tape, TapeProblem } from './records.js';
import { shapeOf } from './request-key.js';

/** One exchange of a tape, for people. */
export interface ExchangeSummary {
  readonly line: number;
  readonly s: string;
  readonly x: string;
  /** `tools/call`, …; `GET` or `DELETE` for exchanges without messages. */
  readonly method: string;
  readonly target: string | undefined;
  readonly status: number | undefined;
  /** `undefined` when the tape ends before. */
  readonly end: ExchangeEnd | undefined;
  /** Milliseconds from the beginning of the recording, and from the exchange's beginning to its end. */
  readonly at: number;
  readonly took: number;
  /** Messages in both directions. */
  readonly messages: number;
}

export interface SessionSummary {
  readonly s: string;
  readonly era: string;
  readonly version: string | undefined;
  readonly client: string | undefined;
  readonly server: string | undefined;
}

/** What the proxy did on its own. */
export interface NoteSummary {
  readonly line: number;
  readonly s: string;
  /** Milliseconds from the beginning of the recording. */
  readonly at: number;
  readonly text: string;
}

/** What is on a tape, for `tape show` and `tape ls`. */
export interface TapeSummary {
  readonly name: string;
  readonly form: string;
  readonly version: number;
  readonly at: string | undefined;
  /** Whether it ended in good order and nothing is wrong with it. */
  readonly whole: boolean;
  readonly recovered: boolean;
  readonly records: number;
  readonly lost: number;
  readonly took: number;
  /** Whether its records have times; where they have none, all times are 0. */
  readonly timed: boolean;
  readonly sessions: readonly SessionSummary[];
  readonly exchanges: readonly ExchangeSummary[];
  readonly notes: readonly NoteSummary[];
  readonly problems: readonly TapeProblem[];
}

type Draft = { -readonly [K in keyof ExchangeSummary]: ExchangeSummary[K] };

export function summariseTape(tape: Tape): TapeSummary {
  const exchanges = new Map<string, Draft>();
  const sessions: SessionSummary[] = [];
  const notes: NoteSummary[] = [];
  let now = 0;
  for (const record of tape.records) {
    now += (record.t ?? 0) / 1000;
    if (record.k === 'sess') sessions.push(sessionOf(record));
    if (record.k === 'note') notes.push({ line: record.line, s: record.s, at: now, text: record.text });
    if (!('x' in record) || record.x === undefined) continue;
    const known = `${record.s} ${record.x}`;
    let exchange = exchanges.get(known);
    if (exchange === undefined) {
      const { line, s, x } = record;
      exchange = {
        line,
        s,
        x,
        method: '',
        target: undefined,
        status: undefined,
        end: undefined,
        at: now,
        took: 0,
        messages: 0,
      };
      exchanges.set(known, exchange);
    }
    exchange.took = now - exchange.at;
    if (record.k === 'x-') exchange.end = record.end;
    if (record.k === 'http' && record.status !== undefined) exchange.status = record.status;
    if (record.k === 'http' && record.method !== undefined && exchange.method === '') exchange.method = record.method;
    if (record.k === 'msg') {
      exchange.messages += 1;
      if (record.from === 'client') name(exchange, record.text);
    }
  }
  return {
    name: tape.name,
    form: tape.head.form,
    version: tape.head.v,
    at: tape.head.at,
    whole: tape.end !== undefined && tape.problems.length === 0,
    recovered: tape.end?.recovered === true,
    records: tape.records.length,
    lost: tape.end?.lost ?? 0,
    took: now,
    timed: tape.records.some(({ t }) => t !== undefined),
    sessions,
    exchanges: [...exchanges.values()],
    notes,
    problems: tape.problems,
  };
}

/** The first message names its exchange. */
function name(exchange: Draft, text: string): void {
  if (exchange.messages !== 1) return;
  const message = readMessage(text);
  exchange.method = message?.method ?? '(response)';
  if (message?.kind === 'request') exchange.target = shapeOf(exchange.method, text).target;
}

function sessionOf(record: SessRecord): SessionSummary {
  return {
    s: record.s,
    era: record.era,
    version: record.version,
    client: infoOf(record.client),
    server: infoOf(record.server),
  };
}

function infoOf(info: SessRecord['client']): string | undefined {
  const name = info?.['name'];
  const version = info?.['version'];
  return typeof name === 'string' ? `${name}${typeof version === 'string' ? ` ${version}` : ''}` : undefined;
}
