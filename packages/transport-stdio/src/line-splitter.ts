/** What a {@link LineSplitter} found. */
export interface LineSink {
  /** A line without its end, never blank. */
  line(text: string): void;
  /** A line grew beyond the limit; the rest of it is skipped. `start` is its first bytes, as text. */
  tooLong(start: string): void;
}

const LF = 0x0a;
const CR = 0x0d;
const SHOWN = 200;

/** Cuts bytes into lines that end in LF or CRLF. Holds at most `limit` bytes of an unfinished line. */
export class LineSplitter {
  readonly #limit: number;
  readonly #sink: LineSink;
  #chunks: Buffer[] = [];
  #size = 0;
  #skipping = false;

  constructor(limit: number, sink: LineSink) {
    this.#limit = limit;
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      this.#finish(chunk, start, end);
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(start === 0 ? chunk : chunk.subarray(start));
  }

  /** The input is over: what has no line end is a line all the same. */
  end(): void {
    this.#finish(Buffer.alloc(0), 0, 0);
  }

  #finish(chunk: Buffer, start: number, end: number): void {
    if (this.#skipping) {
      this.#skipping = false;
      return;
    }
    if (this.#size === 0) {
      if (end - start > this.#limit) this.#sink.tooLong(chunk.toString('utf8', start, start + SHOWN));
      else this.#emit(chunk, start, end);
      return;
    }
    this.#keep(chunk.subarray(start, end));
    if (this.#skipping) {
      this.#skipping = false;
      return;
    }
    const whole = Buffer.concat(this.#chunks, this.#size);
    this.#forget();
    this.#emit(whole, 0, whole.length);
  }

  #keep(part: Buffer): void {
    if (this.#skipping) return;
    this.#chunks.push(part);
    this.#size += part.length;
    if (this.#size <= this.#limit) return;
    const start = Buffer.concat(this.#chunks, Math.min(this.#size, SHOWN)).toString('utf8');
    this.#forget();
    this.#skipping = true;
    this.#sink.tooLong(start);
  }

  #forget(): void {
    this.#chunks = [];
    this.#size = 0;
  }

  #emit(bytes: Buffer, start: number, end: number): void {
    const last = end > start && bytes[end - 1] === CR ? end - 1 : end;
    if (last === start) return;
    const text = bytes.toString('utf8', start, last);
    if (text.trim() !== '') this.#sink.line(text);
  }
}

/**
 * A message as one line. In JSON a line break can only be white space between tokens, so a space takes its place.
 */
export function asLine(text: string): string {
  return text.includes('\n') || text.includes('\r') ? `${text.replaceAll(/[\r\n]+/g, ' ')}\n` : `${text}\n`;
}
