import { ProxyError } from '@shadowcat/kernel';
import { BLOBS_FEATURE } from './blobs.js';
import { LineTexts } from './line-texts.js';
import { type Migration, migrationFrom } from './migrate.js';
import { MAX_LINE } from './parse-record.js';
import { RecordParser } from './record-parser.js';
import type { CkptRecord, EndRecord, HeadRecord, Tape, TapeProblem, TapeRecord } from './records.js';
import { TAPE_VERSION } from './records.js';
import type { Digest, NewDigest } from './seal.js';

const LF = 0x0a;
const CR = 0x0d;
/** What some editors write in front. */
const MARKS = [
  { bytes: [0xef, 0xbb, 0xbf], what: 'the file begins with a byte order mark' },
  { bytes: [0xff, 0xfe], what: 'the file is UTF-16' },
  { bytes: [0xfe, 0xff], what: 'the file is UTF-16' },
];

/** Features of the format that this reader knows; a tape that requires another is refused. */
const KNOWN_FEATURES: ReadonlySet<string> = new Set([BLOBS_FEATURE]);

export interface ReadTapeOptions {
  /** For messages: usually the path. */
  readonly name: string;
  readonly newDigest: NewDigest;
  /** How many records are read at most. Default 5,000,000, as many as a tape of 1 GiB has. */
  readonly maxRecords?: number;
}

const MAX_RECORDS = 5_000_000;

/**
 * Reads a tape from its bytes, which are not trusted. Never throws for what they hold, except when there is no head at
 * all (`tape_invalid`): any prefix is readable, and `problems` says what is wrong with the rest.
 */
export function readTape(bytes: Uint8Array, options: ReadTapeOptions): Tape {
  const reader = new TapeReader(bytes, options);
  return reader.read();
}

/** The tape when it can be used as it is; throws `tape_invalid` with file, line and what to do when it cannot. */
export function soundTape(tape: Tape): Tape {
  const problem = tape.problems.find(({ kind }) => kind !== 'gap');
  if (problem !== undefined) throw problemError(tape.name, problem);
  return tape;
}

/** What to do about a problem of a tape; empty where nothing helps. */
export function adviceFor({ kind, line }: TapeProblem, name: string): string {
  if (kind === 'edited') return `If that was meant, seal it again with: shadowcat tape fmt ${name}`;
  // What is wrong with the first line leaves nothing to keep.
  const helps = kind === 'truncated' || kind === 'corrupt' || line > 1;
  return helps ? `Keep what is whole with: shadowcat tape recover ${name}` : '';
}

function problemError(name: string, problem: TapeProblem): ProxyError {
  const advice = ` ${adviceFor(problem, name)}`.trimEnd();
  return new ProxyError('tape_invalid', `${name}:${problem.line}: ${problem.message}.${advice}`, {
    data: { file: name, line: problem.line, problem: problem.kind },
  });
}

function nameOf(feature: string): string {
  return /^[\w.-]{1,64}$/.test(feature) ? feature : JSON.stringify(feature.slice(0, 64));
}

class TapeReader {
  readonly #bytes: Uint8Array;
  readonly #lines: LineTexts;
  readonly #name: string;
  readonly #newDigest: NewDigest;
  readonly #maxRecords: number;
  readonly #records: TapeRecord[] = [];
  readonly #problems: TapeProblem[] = [];
  #head: HeadRecord | undefined;
  #end: EndRecord | undefined;
  #line = 0;
  /** Where the line being read begins, and the segment that the next checkpoint covers. */
  #at = 0;
  #segment = 0;
  #returns = false;
  #migrate: Migration | undefined;
  readonly #parser = new RecordParser();

  constructor(bytes: Uint8Array, options: ReadTapeOptions) {
    this.#bytes = bytes;
    this.#lines = new LineTexts(bytes);
    this.#name = options.name;
    this.#newDigest = options.newDigest;
    this.#maxRecords = options.maxRecords ?? MAX_RECORDS;
  }

  read(): Tape {
    while (this.#at < this.#bytes.length && this.#next());
    const head = this.#head;
    if (head === undefined) throw this.#noTape();
    if (this.#problems.every(({ kind }) => kind === 'gap') && this.#end === undefined) {
      const why = head.form === 'golden' ? 'its end is missing' : 'the recording was cut short';
      this.#problem('truncated', `the tape ends here without an end record: ${why}`, this.#line);
    }
    return {
      name: this.#name,
      head,
      records: this.#records,
      end: this.#end,
      problems: this.#problems,
      sound: this.#at,
    };
  }

  /** Reads a line. False when the tape stops making sense there. */
  #next(): boolean {
    this.#line += 1;
    const end = this.#bytes.indexOf(LF, this.#at);
    if (this.#end !== undefined) return this.#problem('corrupt', 'there are lines after the end record');
    if (this.#line > this.#maxRecords)
      return this.#problem('invalid', `there are more than ${this.#maxRecords} records`);
    const mark =
      this.#line === 1 ? MARKS.find(({ bytes }) => bytes.every((byte, at) => this.#bytes[at] === byte)) : undefined;
    if (mark !== undefined) return this.#problem('invalid', `${mark.what}: save it as UTF-8 without a byte order mark`);
    if (end < 0) return this.#problem('truncated', 'the last line is cut off');
    if (end - this.#at > MAX_LINE) return this.#problem('invalid', `the line is longer than ${MAX_LINE} bytes`);
    let record: TapeRecord;
    let text: string;
    try {
      text = this.#text(end);
      record = this.#parser.parse(this.#migrate?.(text) ?? text, this.#line);
    } catch (error) {
      return this.#problem('invalid', error instanceof ProxyError ? error.message : 'the line is not UTF-8');
    }
    if (!this.#accept(record, text)) return false;
    this.#records.push(record);
    this.#at = end + 1;
    return true;
  }

  /** The line that ends at `end`. */
  #text(end: number): string {
    const text = this.#lines.line(this.#at, end);
    if (text.charCodeAt(text.length - 1) !== CR) return text;
    this.#returns = true;
    return text.slice(0, -1);
  }

  #accept(record: TapeRecord, text: string): boolean {
    if (this.#line === 1) return this.#acceptHead(record);
    switch (record.k) {
      case 'head':
        return this.#problem('invalid', 'there is a second head record');
      case 'ckpt':
      case 'end':
        return this.#acceptSeal(record, text);
      case 'gap':
        this.#problem('gap', `${record.lost} records are missing here (${record.why})`);
        return true;
      default:
        return true;
    }
  }

  #acceptHead(record: TapeRecord): boolean {
    if (record.k !== 'head') return this.#problem('invalid', 'the first line is no head record: this is not a tape');
    const unknown = record.requires.filter((feature) => !KNOWN_FEATURES.has(feature));
    if (record.v > TAPE_VERSION || !Number.isInteger(record.v) || record.v < 1 || unknown.length > 0) {
      const what = unknown.length > 0 ? `needs ${unknown.map(nameOf).join(', ')}` : `has format version ${record.v}`;
      return this.#problem('invalid', `the tape ${what}, which this version of Shadowcat cannot read`);
    }
    this.#head = record;
    this.#migrate = migrationFrom(record.v);
    return true;
  }

  #acceptSeal(record: CkptRecord | EndRecord, text: string): boolean {
    const before = text.slice(0, text.lastIndexOf(',"sha":"'));
    const digest: Digest = this.#newDigest();
    digest.update(this.#bytes.subarray(this.#segment, this.#at));
    const whole = record.lines === this.#line - 1 && text === `${before},"sha":"${record.sha}"}`;
    if (!whole || digest.with(before) !== record.sha) {
      if (this.#head?.form === 'golden') return this.#acceptEdited(record);
      const from = this.#records.findLast(({ k }) => k === 'ckpt')?.line ?? 1;
      const why = this.#returns ? 'their line endings were changed' : 'they were changed after they were written';
      return this.#problem(
        'corrupt',
        `lines ${from} to ${this.#line} do not have the digest that is written here: ${why}`,
      );
    }
    this.#segment = this.#at;
    if (record.k === 'end') this.#end = record;
    return true;
  }

  /** A golden tape is read all the same: whoever edits one seals it again. */
  #acceptEdited(record: CkptRecord | EndRecord): boolean {
    const what = this.#returns ? 'its line endings were changed' : 'it was edited since';
    this.#problem('edited', `the tape does not have the digest that is written here: ${what}`);
    if (record.k === 'end') this.#end = record;
    return true;
  }

  #problem(kind: TapeProblem['kind'], message: string, line = this.#line): false {
    this.#problems.push({ kind, line, message });
    return false;
  }

  #noTape(): ProxyError {
    const [problem] = this.#problems;
    const empty = { kind: 'invalid', line: 1, message: 'the file is empty: this is not a tape' } as const;
    return problemError(this.#name, problem ?? empty);
  }
}
