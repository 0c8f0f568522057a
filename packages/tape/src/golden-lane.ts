import { type Message, readMessage } from '@shadowcat/wire';
import type { TapeRecord, TextRecord } from './records.js';

/** A record of an exchange. */
export type ExchangeRecord = Extract<TapeRecord, { readonly k: 'msg' | 'http' | 'sse' | 'x-' }> | TextRecord;

/** A record with the message it holds, read once. */
export interface Item {
  readonly record: ExchangeRecord;
  readonly message: Message | undefined;
}

/** An exchange of a lane: what the client sent, then what came back. */
export interface Unit {
  readonly x: string;
  /** Which of its lane's exchanges it is, by the capture. */
  readonly order: number;
  /** What the client sent: the head and the messages. */
  readonly asked: Item[];
  /** What came back, in its order. */
  readonly came: Item[];
  /** Whether it is a stream that the server speaks on of its own accord (GET, `subscriptions/listen`). */
  standing: boolean;
  /** Whether it has no client message: a GET. */
  silent: boolean;
}

/** The records of one lane, sorted into exchanges. */
export interface GoldenLane {
  readonly s: string;
  /** `conn` opened, `sess`: what opens the lane. */
  readonly opening: TapeRecord[];
  readonly closing: TapeRecord[];
  readonly units: Unit[];
  /** Every item with its unit, as captured. */
  readonly captured: { readonly unit: Unit; readonly item: Item }[];
}

/** Sorts a tape's records into lanes; kinds that are for people only (`err`, `note`, text of no exchange) are left out. */
export function lanesOf(records: readonly TapeRecord[]): GoldenLane[] {
  const lanes = new Map<string, LaneSorter>();
  for (const record of records) {
    if (!('s' in record)) continue;
    let lane = lanes.get(record.s);
    if (lane === undefined) {
      lane = new LaneSorter(record.s);
      lanes.set(record.s, lane);
    }
    lane.add(record);
  }
  return [...lanes.values()].map(({ lane }) => lane);
}

/** Whether the golden form has this record. */
export function isKept(record: TapeRecord): boolean {
  if (record.k === 'err' || record.k === 'note' || record.k === 'ckpt' || record.k === 'end') return false;
  return record.k !== 'raw' || record.x !== undefined;
}

class LaneSorter {
  readonly lane: GoldenLane;
  readonly #units = new Map<string, Unit>();

  constructor(s: string) {
    this.lane = { s, opening: [], closing: [], units: [], captured: [] };
  }

  add(record: Extract<TapeRecord, { readonly s: string }>): void {
    if (!isKept(record)) return;
    if (record.k === 'sess') this.lane.opening.push(record);
    else if (record.k === 'conn') (record.event === 'opened' ? this.lane.opening : this.lane.closing).push(record);
    else if (record.x !== undefined) this.#exchange(record, record.x);
  }

  #exchange(record: ExchangeRecord, x: string): void {
    let unit = this.#units.get(x);
    if (unit === undefined) {
      unit = { x, order: this.lane.units.length, asked: [], came: [], standing: false, silent: false };
      this.#units.set(x, unit);
      this.lane.units.push(unit);
    }
    const item = { record, message: record.k === 'msg' ? readMessage(record.text) : undefined };
    (isAsked(record) ? unit.asked : unit.came).push(item);
    this.lane.captured.push({ unit, item });
    if (record.k === 'http' && record.method === 'GET') {
      unit.standing = true;
      unit.silent = true;
    }
    if (item.message?.method === 'subscriptions/listen') unit.standing = true;
  }
}

/** Whether a record of an exchange is of what the client sent. */
export function isAsked(record: ExchangeRecord): boolean {
  return 'from' in record && record.from === 'client';
}
