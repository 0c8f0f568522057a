const LF = 0x0a;
/** So many bytes are made into text at once: a line at a time takes several times as long. */
const BLOCK = 65_536;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The lines of a file as text, asked for in order. */
export class LineTexts {
  readonly #bytes: Uint8Array;
  /** Whole lines; `undefined` where some are not UTF-8. */
  #text: string | undefined;
  /** Where the block ends in the bytes, and where the next line begins in the text. */
  #end = 0;
  #next = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The line from `start` to its line break at `end`, without it. Throws `TypeError` when it is not UTF-8. */
  line(start: number, end: number): string {
    if (start >= this.#end) this.#read(start, end);
    const text = this.#text;
    if (text === undefined) return decoder.decode(this.#bytes.subarray(start, end));
    const stop = text.indexOf('\n', this.#next);
    const line = text.slice(this.#next, stop);
    this.#next = stop + 1;
    return line;
  }

  #read(start: number, end: number): void {
    const last = this.#bytes.lastIndexOf(LF, start + BLOCK);
    this.#end = Math.max(last, end) + 1;
    this.#next = 0;
    try {
      this.#text = decoder.decode(this.#bytes.subarray(start, this.#end));
    } catch {
      this.#text = undefined;
    }
  }
}
