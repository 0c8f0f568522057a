import { concat, Frame, type FrameDecoder, type Framing, ProxyError } from '@shadowcat/kernel';
import { parseSseBlock, sseBytes } from './sse-event.js';

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const BOM = [0xef, 0xbb, 0xbf];

/** Bounds on one stream, in bytes. */
export interface SseLimits {
  /** Default 32 MiB. */
  readonly event?: number;
  /** Default 32 MiB. */
  readonly line?: number;
}

/** That of a JSON body, so that an answer passes or not whatever it is framed in, and whether it is looked into or not. */
const LIMIT = 32 * 1024 * 1024;

/**
 * Server-sent events (WHATWG HTML, section 9.2). A frame is an event with its closing blank line, or a comment line outside
 * of events, at once, so that a keep-alive is not held back; the blank line after a comment is a frame of its own, with neither
 * text nor fields. Priming events (`id`, empty data) and lone `retry` fields are frames without a message. An event that the
 * stream cuts short is kept as bytes and has no message (the standard discards it).
 * Beyond a limit the decoder throws `upstream_protocol`.
 */
export function sse(limits: SseLimits = {}): Framing {
  const event = limits.event ?? LIMIT;
  const line = limits.line ?? LIMIT;
  return { name: 'sse', decoder: () => new SseDecoder(event, line), encode: sseBytes };
}

/** {@link sse} with the default limits. */
export const sseFraming: Framing = sse();

/** Cuts at line ends; what the lines of a block say is read when the block is complete. */
class SseDecoder implements FrameDecoder {
  readonly #eventLimit: number;
  readonly #lineLimit: number;
  /** The bytes of the frame in the making. */
  #parts: Uint8Array[] = [];
  #size = 0;
  /** Bytes of the current line so far, and whether it began with a colon. */
  #line = 0;
  #comment = false;
  /** Whether the block has a line that is no comment. */
  #fields = false;
  /** The last byte was the CR that ended a line: an LF now belongs to that end. */
  #afterCr = false;
  /** How many bytes of a byte order mark were seen at the start; -1 once that is decided. */
  #bom = 0;
  /** Whether the frame in the making begins with a byte order mark. */
  #marked = false;

  constructor(eventLimit: number, lineLimit: number) {
    this.#eventLimit = eventLimit;
    this.#lineLimit = lineLimit;
  }

  push(chunk: Uint8Array): readonly Frame[] {
    const frames: Frame[] = [];
    let start = 0;
    let at = this.#bom < 0 ? 0 : this.#skipBom(chunk);
    let lf = chunk.indexOf(LF, at);
    let cr = chunk.indexOf(CR, at);
    if (this.#afterCr && at < chunk.length) {
      this.#afterCr = false;
      if (lf === at) {
        at += 1;
        lf = chunk.indexOf(LF, at);
      }
    }
    while (lf >= 0 || cr >= 0) {
      const isCr = cr >= 0 && (lf < 0 || cr < lf);
      const end = isCr ? cr : lf;
      this.#grow(chunk, at, end);
      at = end + 1;
      if (isCr && lf === at) at += 1;
      else if (isCr && at === chunk.length) this.#afterCr = true;
      if (lf >= 0 && lf < at) lf = chunk.indexOf(LF, at);
      if (cr >= 0 && cr < at) cr = chunk.indexOf(CR, at);
      if (this.#endLine()) {
        this.#keep(chunk, start, at);
        frames.push(this.#take());
        start = at;
      }
    }
    this.#grow(chunk, at, chunk.length);
    this.#keep(chunk, start, chunk.length);
    return frames;
  }

  end(): readonly Frame[] {
    return this.#size === 0 ? [] : [new Frame({ bytes: concat(this.#parts, this.#size), text: null })];
  }

  /** Where the first line's content begins in `chunk`. */
  #skipBom(chunk: Uint8Array): number {
    let at = 0;
    while (this.#bom < BOM.length && at < chunk.length) {
      if (chunk[at] !== BOM[this.#bom]) {
        // No mark: what looked like its beginning is content of the first line.
        this.#line = this.#bom;
        this.#bom = -1;
        return at;
      }
      this.#bom += 1;
      at += 1;
    }
    if (this.#bom === BOM.length) {
      this.#bom = -1;
      this.#marked = true;
    }
    return at;
  }

  /** Counts the bytes from `start` to `end` into the current line. */
  #grow(chunk: Uint8Array, start: number, end: number): void {
    if (end <= start) return;
    if (this.#line === 0) this.#comment = chunk[start] === COLON;
    this.#line += end - start;
    if (this.#line > this.#lineLimit) throw tooLong('a line of an SSE stream', this.#lineLimit);
  }

  /** Takes the bytes from `start` to `end` into the frame in the making. */
  #keep(chunk: Uint8Array, start: number, end: number): void {
    if (end <= start) return;
    this.#size += end - start;
    if (this.#size > this.#eventLimit) throw tooLong('an SSE event', this.#eventLimit);
    this.#parts.push(chunk.subarray(start, end));
  }

  /** A line has ended. Whether the frame has, too. */
  #endLine(): boolean {
    const blank = this.#line === 0;
    const comment = !blank && this.#comment;
    this.#line = 0;
    if (!blank && !comment) this.#fields = true;
    return blank || (comment && !this.#fields);
  }

  #take(): Frame {
    const bytes = concat(this.#parts, this.#size);
    const parts = parseSseBlock(bytes, this.#marked);
    this.#parts = [];
    this.#size = 0;
    this.#fields = false;
    this.#marked = false;
    return new Frame(parts);
  }
}

function tooLong(what: string, limit: number): ProxyError {
  return new ProxyError('upstream_protocol', `${what} is longer than ${limit} bytes`);
}
