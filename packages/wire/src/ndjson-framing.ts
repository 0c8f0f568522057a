import { concat, Frame, type FrameDecoder, type Framing, ProxyError } from '@shadowcat/kernel';
import { oneLine } from './one-line.js';

const LF = 0x0a;
const CR = 0x0d;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

const LINE_LIMIT = 10 * 1024 * 1024;

/**
 * One JSON text a line (MCP, stdio transport), ended by LF or CRLF. Each line is a frame, an empty one without a message; a
 * last line without an end is one too. A line over `lineLimit` bytes throws `upstream_protocol`.
 */
export function ndjson(options: { readonly lineLimit?: number } = {}): Framing {
  const limit = options.lineLimit ?? LINE_LIMIT;
  return {
    name: 'ndjson',
    decoder: () => new LineDecoder(limit),
    encode: (frame) => encoder.encode(frame.text === undefined ? '' : `${oneLine(frame.text)}\n`),
  };
}

/** {@link ndjson} with the default limit of 10 MiB. */
export const ndjsonFraming: Framing = ndjson();

class LineDecoder implements FrameDecoder {
  readonly #limit: number;
  #parts: Uint8Array[] = [];
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Uint8Array): readonly Frame[] {
    const frames: Frame[] = [];
    let start = 0;
    for (let lf = chunk.indexOf(LF); lf >= 0; lf = chunk.indexOf(LF, start)) {
      this.#add(chunk.subarray(start, lf + 1));
      frames.push(this.#take());
      start = lf + 1;
    }
    if (start < chunk.length) this.#add(chunk.subarray(start));
    return frames;
  }

  end(): readonly Frame[] {
    return this.#size === 0 ? [] : [this.#take()];
  }

  #add(part: Uint8Array): void {
    this.#size += part.length;
    if (this.#size > this.#limit)
      throw new ProxyError('upstream_protocol', `a line is longer than ${this.#limit} bytes`);
    this.#parts.push(part);
  }

  #take(): Frame {
    const bytes = concat(this.#parts, this.#size);
    this.#parts = [];
    this.#size = 0;
    let end = bytes.length;
    if (bytes[end - 1] === LF) end -= 1;
    if (bytes[end - 1] === CR) end -= 1;
    return new Frame({ bytes, text: end === 0 ? null : decoder.decode(bytes.subarray(0, end)) });
  }
}
