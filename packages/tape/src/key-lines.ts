const BEGIN = /-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----/;
const END = /-----END (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----/;
/** The longest key: RSA of 16384 bits has fewer. After so many lines its end was lost. */
const MAX_LINES = 250;
const MAX_STREAMS = 1000;

/** Finds private keys that come line by line, as on stderr: no line between the first and the last says what it is. */
export class KeyLines {
  /** How many lines of a key have come, by stream. */
  readonly #open = new Map<string, number>();

  /** Whether a line of a stream is inside of a private key. */
  isInside(stream: string, line: string): boolean {
    const seen = this.#open.get(stream);
    if (seen === undefined) {
      if (line.includes('-----BEGIN ') && BEGIN.test(line) && !END.test(line)) this.#begin(stream);
      return false;
    }
    if (END.test(line) || seen >= MAX_LINES) {
      this.#open.delete(stream);
      return false;
    }
    this.#open.set(stream, seen + 1);
    return true;
  }

  #begin(stream: string): void {
    const [oldest] = this.#open.keys();
    if (this.#open.size >= MAX_STREAMS && oldest !== undefined) this.#open.delete(oldest);
    this.#open.set(stream, 0);
  }
}
