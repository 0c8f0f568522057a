import { BLOBS_FEATURE, type TapeBlob, takeBlobs } from './blobs.js';
import { LaneIds } from './golden-ids.js';
import { type ExchangeRecord, type GoldenLane, type Item, isKept, lanesOf, type Unit } from './golden-lane.js';
import { ExchangeNames } from './golden-names.js';
import { orderedItems } from './golden-order.js';
import { recordLine } from './record-line.js';
import { type HeadRecord, type HttpRecord, NO_SESSION, TAPE_VERSION, type Tape, type TapeRecord } from './records.js';
import { hasPlaceholder } from './redact.js';
import { type NewDigest, Seal } from './seal.js';

export interface GoldenOptions {
  readonly newDigest: NewDigest;
  /** Keep when each record happened. Default: a golden tape has no clock. */
  readonly times?: boolean;
  /** The fingerprint of the key that makes placeholders, for a tape that had none of them until now. */
  readonly keyId?: string;
}

/** A golden tape to be written. */
export interface GoldenTape {
  /** All lines with their ends; the last one is the `end` record. */
  readonly lines: readonly string[];
  readonly blobs: readonly TapeBlob[];
  /** The digest in the `end` record. */
  readonly sha: string;
}

/**
 * The golden form of a tape: no clock, ids numbered by first appearance, exchanges named by their content, records in the order
 * of their causes, large values beside it, one digest. Recording the same conversation again gives the same bytes. A golden
 * tape keeps its order, ids and names: only its layout and digest are made anew, so an edited record is one changed line and
 * the last. The tape must hold its blobs (`withBlobs`) and be sound, or edited.
 */
export function goldenOf(tape: Tape, options: GoldenOptions): GoldenTape {
  const maker = new GoldenMaker(options);
  const records = tape.head.form === 'golden' ? withoutSeals(tape.records) : fromCapture(tape, options);
  for (const record of records) maker.add(record);
  return maker.finish(tape);
}

function withoutSeals(records: readonly TapeRecord[]): readonly TapeRecord[] {
  return records.filter(({ k }) => k !== 'head' && k !== 'ckpt' && k !== 'end');
}

/** Makes the lines and what lies beside them. */
class GoldenMaker {
  readonly #options: GoldenOptions;
  readonly #lines: string[] = [];
  readonly #blobs = new Map<string, TapeBlob>();

  constructor(options: GoldenOptions) {
    this.#options = options;
  }

  add(record: TapeRecord): void {
    const { t: _, ...rest } = record;
    const stamped = this.#options.times === true ? record : untimed(rest as TapeRecord);
    if (stamped.k !== 'msg') {
      this.#lines.push(`${recordLine(stamped)}\n`);
      return;
    }
    const { text, pointers, blobs } = takeBlobs(stamped.text, this.#options.newDigest);
    for (const blob of blobs) this.#blobs.set(blob.path, blob);
    const { blobs: _old, ...plain } = stamped;
    this.#lines.push(`${recordLine({ ...plain, text, ...(pointers.length === 0 ? {} : { blobs: pointers }) })}\n`);
  }

  finish({ head, end, records }: Tape): GoldenTape {
    const { scope, redaction, requires } = head;
    const features = new Set(requires.filter((feature) => feature !== BLOBS_FEATURE));
    if (this.#blobs.size > 0) features.add(BLOBS_FEATURE);
    const first = {
      k: 'head',
      v: TAPE_VERSION,
      form: 'golden',
      requires: [...features],
      ...(scope === undefined ? {} : { scope }),
      ...(redaction === undefined ? {} : { redaction: this.#redaction(redaction) }),
      ...(head.form === 'golden' ? head.extra : {}),
    };
    const seal = new Seal(this.#options.newDigest);
    const lines = [`${JSON.stringify(first)}\n`, ...this.#lines];
    for (const line of lines) seal.wrote(encoder.encode(line), 1, 0);
    const lost = records.reduce((sum, record) => sum + (record.k === 'gap' ? record.lost : 0), 0);
    const last = seal.end(lost, end?.recovered === true);
    const sha = last.slice(-66, -2);
    return { lines: [...lines, `${last}\n`], blobs: [...this.#blobs.values()], sha };
  }

  /** Where nothing is hidden, the key would only tell one machine's recording from another's. */
  #redaction({ policy, key = this.#options.keyId }: Redaction): Redaction {
    const hides = this.#lines.some(hasPlaceholder) || [...this.#blobs.values()].some(({ bytes }) => hidesIn(bytes));
    return hides && key !== undefined ? { policy, key } : { policy };
  }
}

type Redaction = NonNullable<HeadRecord['redaction']>;

const decoder = new TextDecoder();

/** Of bytes that are no text, nothing is hidden. */
function hidesIn(bytes: Uint8Array): boolean {
  return hasPlaceholder(decoder.decode(bytes));
}

const encoder = new TextEncoder();

/** Of a kind that this version does not know, only the place of its time is known. */
function untimed(record: TapeRecord): TapeRecord {
  return record.k === 'other' ? { ...record, text: record.text.replace(/^(\{"k":"[^"]*"),"t":-?\d+/, '$1') } : record;
}

/** The records of a capture as a golden tape has them, without head and end. */
function fromCapture(tape: Tape, options: GoldenOptions): TapeRecord[] {
  const followers = followersOf(tape.records);
  const clock = options.times === true ? new Clock(tape.records) : undefined;
  const out: TapeRecord[] = [];
  const emit = (record: TapeRecord | undefined, source: TapeRecord): void => {
    if (record !== undefined) out.push(clock === undefined ? record : clock.stamped(record, source));
    out.push(...(followers.get(source) ?? []));
  };
  out.push(...(followers.get(tape.head) ?? []));
  for (const [lane, s] of namedLanes(lanesOf(tape.records))) {
    for (const record of lane.opening) emit(moved(record, s), record);
    const namer = new ExchangeNames(options.newDigest);
    const ids = new LaneIds(resumes(lane));
    for (const { unit, item } of orderedItems(lane)) {
      if (item.message !== undefined && 'from' in item.record && item.record.from === 'server')
        namer.asks(item.message);
      emit(rewritten(item, { unit, s, namer, ids }), item.record);
    }
    for (const record of lane.closing) emit(moved(record, s), record);
  }
  return out;
}

/** What belongs to no lane stays behind the record that it followed: gaps, and kinds that this version does not know. */
function followersOf(records: readonly TapeRecord[]): ReadonlyMap<TapeRecord, readonly TapeRecord[]> {
  const followers = new Map<TapeRecord, TapeRecord[]>();
  let before = records[0];
  for (const record of records) {
    if (record.k === 'gap' || record.k === 'other') {
      if (before === undefined) continue;
      const behind = followers.get(before);
      if (behind === undefined) followers.set(before, [record]);
      else behind.push(record);
    } else if (isKept(record)) before = record;
  }
  return followers;
}

/** The lanes in the order of the golden form, which has what belongs to no session first, with their names. */
function namedLanes(lanes: readonly GoldenLane[]): [GoldenLane, string][] {
  const without = lanes.filter(({ s }) => s === NO_SESSION);
  const sessions = lanes.filter(({ s }) => s !== NO_SESSION);
  return [
    ...without.map((lane): [GoldenLane, string] => [lane, NO_SESSION]),
    ...sessions.map((lane, index): [GoldenLane, string] => [lane, `s${index + 1}`]),
  ];
}

const moved = (record: TapeRecord, s: string): TapeRecord => ({ ...record, s }) as TapeRecord;

interface Placing {
  readonly unit: Unit;
  readonly s: string;
  readonly namer: ExchangeNames;
  readonly ids: LaneIds;
}

/** `undefined`: nothing of the record is left in the golden form. */
function rewritten(item: Item, { unit, s, namer, ids }: Placing): ExchangeRecord | undefined {
  const record = { ...item.record, s, x: namer.of(unit) };
  switch (record.k) {
    case 'msg': {
      const { sse: framing, ...rest } = record;
      const sse = framing && ids.sse(framing);
      return { ...rest, ...(sse === undefined ? {} : { sse }), text: ids.message(item) };
    }
    case 'sse': {
      const sse = ids.sse(record.sse);
      return sse === undefined ? undefined : { ...record, sse };
    }
    case 'http':
      return headOf(record, ids);
    default:
      return record;
  }
}

/** Whether a client came back to a stream. */
function resumes({ units }: GoldenLane): boolean {
  return units.some(({ asked }) =>
    asked.some(({ record }) => record.k === 'http' && record.headers['last-event-id'] !== undefined),
  );
}

/** Which upstream answered, with its port, is another one on each machine; so is a session id in the path. */
function headOf({ upstream: _, ...record }: HttpRecord, ids: LaneIds): HttpRecord {
  const headers = ids.headers(record.headers);
  if (record.target === undefined) return { ...record, headers };
  const target = record.target.replace(/([?&]session_?id=)[^&#]*/gi, '$1~session~');
  return { ...record, target, headers };
}

/** When each record happened, as the time since the one before it in another order: it can be negative. */
class Clock {
  readonly #at = new Map<TapeRecord, number>();
  #now = 0;

  constructor(records: readonly TapeRecord[]) {
    let now = 0;
    for (const record of records) {
      now += record.t ?? 0;
      if (record.t !== undefined) this.#at.set(record, now);
    }
  }

  stamped(record: TapeRecord, source: TapeRecord): TapeRecord {
    const at = this.#at.get(source);
    if (at === undefined) return record;
    const t = at - this.#now;
    this.#now = at;
    return { ...record, t };
  }
}
