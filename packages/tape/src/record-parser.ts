import { MESSAGE_LIMITS, parseRecord, passes } from './parse-record.js';
import type { MsgRecord, TapeRecord } from './records.js';

/** How our own writer begins a record. What follows are a few texts that come again and again. */
const BEGINNING =
  /^(\{"k":"[a-z-]+")(?:,"t":(-?(?:0|[1-9]\d{0,14})))?,"s":"([ !#-[\]-\uffff]*)"(?:,"x":"([ !#-[\]-\uffff]*)")?/;
const MAX_KINDS = 64;
const MAX_KNOWN = 1024;
const MAX_KNOWN_LENGTH = 1024;

/** Reads the lines of one tape. Remembers how records looked: most differ from another one in time, names and message only. */
export class RecordParser {
  /** By how the record begins, then by the text behind its names, up to the message. */
  readonly #known = new Map<string, Map<string, TapeRecord>>();

  /** {@link parseRecord}. */
  parse(text: string, line: number): TapeRecord {
    const begin = BEGINNING.exec(text);
    if (begin === null) return parseRecord(text, line);
    const [all, kind = '', t, s = '', x] = begin;
    const at = text.indexOf(',"m":', all.length);
    const end = at < 0 ? text.length : at;
    if (end - all.length > MAX_KNOWN_LENGTH) return parseRecord(text, line);
    const rest = text.slice(all.length, end);
    const alike = this.#alike(x === undefined ? `${kind}-` : kind);
    const model = alike.get(rest);
    const m = at < 0 ? undefined : text.slice(at + 5, -1);
    if (model === undefined) {
      const learned = parseRecord(text, line);
      if (alike.size < MAX_KNOWN && isModel(learned, rest, m)) alike.set(rest, withoutTime(learned));
      return learned;
    }
    // Behind the end of a record is nothing.
    if (m !== undefined && model.k !== 'msg') return parseRecord(text, line);
    const record = { ...model, line, s } as { -readonly [K in keyof MsgRecord]: MsgRecord[K] };
    if (x !== undefined) record.x = x;
    if (t !== undefined) record.t = Number(t);
    if (m === undefined) return record;
    if (!text.endsWith('}') || !passes(m, MESSAGE_LIMITS)) return parseRecord(text, line);
    record.text = m;
    return record;
  }

  #alike(beginning: string): Map<string, TapeRecord> {
    let alike = this.#known.get(beginning);
    if (alike === undefined) {
      alike = new Map();
      if (this.#known.size < MAX_KINDS) this.#known.set(beginning, alike);
    }
    return alike;
  }
}

function withoutTime(record: TapeRecord): TapeRecord {
  const { t: _, ...rest } = record;
  return rest as TapeRecord;
}

/**
 * Whether every record of this kind with the text `rest` behind its names is this one, but for time, names and message: `rest` ends
 * where the record ends or its message begins, and has no `t` of its own, however it may be spelled.
 */
function isModel(record: TapeRecord, rest: string, m: string | undefined): boolean {
  if (rest.includes('"t":') || rest.includes('\\')) return false;
  // With the id of an event no other record is like it.
  if (rest.includes('"id":')) return false;
  return record.k === 'msg' ? record.text === m : m === undefined && (record.k === 'http' || record.k === 'x-');
}
