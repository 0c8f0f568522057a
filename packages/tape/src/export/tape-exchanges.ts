import type { ExitRecord, HttpRecord, MsgRecord, SseRecord, Tape, TextRecord } from '../records.js';

/** An exchange of a tape with all its records, as one request and its answer. */
export interface TapeExchange {
  readonly s: string;
  readonly x: string;
  /** The first line of it, and the last. */
  readonly line: number;
  readonly last: number;
  readonly request: HttpRecord | undefined;
  /** What the client sent: messages, or a body that is none. */
  readonly sent: readonly (MsgRecord | TextRecord)[];
  readonly reply: HttpRecord | undefined;
  /** What came back, in order. */
  readonly received: readonly (MsgRecord | SseRecord | TextRecord)[];
  readonly exit: ExitRecord | undefined;
}

type Draft = { -readonly [K in keyof TapeExchange]: TapeExchange[K] } & {
  readonly sent: (MsgRecord | TextRecord)[];
  readonly received: (MsgRecord | SseRecord | TextRecord)[];
};

/** The exchanges of a tape, in the order in which they began. */
export function tapeExchanges(tape: Tape): readonly TapeExchange[] {
  const exchanges = new Map<string, Draft>();
  for (const record of tape.records) {
    if (!('x' in record) || record.x === undefined) continue;
    const { s, x, line } = record;
    const name = JSON.stringify([s, x]);
    let exchange = exchanges.get(name);
    if (exchange === undefined) {
      const nothing = { request: undefined, reply: undefined, exit: undefined };
      exchange = { s, x, line, last: line, sent: [], received: [], ...nothing };
      exchanges.set(name, exchange);
    }
    exchange.last = line;
    if (record.k === 'x-') exchange.exit ??= record;
    else if (record.k === 'sse') exchange.received.push(record);
    else if (record.k === 'http') addHead(exchange, record);
    else if (record.k === 'msg' || record.k === 'raw')
      (record.from === 'client' ? exchange.sent : exchange.received).push(record);
  }
  return [...exchanges.values()];
}

function addHead(exchange: Draft, record: HttpRecord): void {
  if (record.from === 'client') exchange.request ??= record;
  else exchange.reply ??= record;
}
