const LF = 10;
const CR = 13;
const NO_BYTES = new Uint8Array(0);

/**
 * Tells whether what was sent of an SSE stream ends between two events, so that an event of our own may follow. A line
 * ends with LF, CR or CRLF and an event with an empty line (WHATWG HTML, 9.2.6), so the last four bytes decide.
 */
export class EventBoundary {
  #last: Uint8Array = NO_BYTES;

  push(chunk: Uint8Array): void {
    if (chunk.length >= 4 || this.#last.length === 0) this.#last = chunk;
    else if (chunk.length > 0) this.#last = tail(this.#last, chunk);
  }

  /** Also before the first byte. */
  get between(): boolean {
    const bytes = this.#last;
    const end = bytes.length;
    if (end === 0) return true;
    const last = bytes[end - 1];
    if (last === LF) {
      const line = bytes[end - 2] === CR ? end - 2 : end - 1;
      return line === 0 || isLineEnd(bytes[line - 1]);
    }
    return last === CR && (end === 1 || isLineEnd(bytes[end - 2]));
  }
}

function isLineEnd(byte: number | undefined): boolean {
  return byte === LF || byte === CR;
}

function tail(before: Uint8Array, chunk: Uint8Array): Uint8Array {
  const kept = before.subarray(Math.max(0, before.length - 4));
  const joined = new Uint8Array(kept.length + chunk.length);
  joined.set(kept);
  joined.set(chunk, kept.length);
  return joined;
}
