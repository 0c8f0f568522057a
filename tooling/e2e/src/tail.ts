/** The last characters of a stream, and promises for its lines. */
export class Tail {
  readonly #maxChars: number;
  readonly #waiting = new Set<Waiter>();
  #text = '';
  #pending = '';
  #lines: string[] = [];
  #ended = false;
  #length = 0;

  constructor(maxChars = 1024 * 1024) {
    this.#maxChars = maxChars;
  }

  /** What was read last, at most `maxChars` of it. */
  get text(): string {
    return this.#text;
  }

  /** How many characters have been read. */
  get length(): number {
    return this.#length;
  }

  push(chunk: string): void {
    this.#length += chunk.length;
    this.#text = (this.#text + chunk).slice(-this.#maxChars);
    const lines = (this.#pending + chunk).split('\n');
    this.#pending = lines.pop() ?? '';
    for (const line of lines) this.#add(line);
  }

  /** Lines that were waited for and have not come never will. */
  end(): void {
    this.#ended = true;
    for (const waiter of [...this.#waiting]) this.#settle(waiter, undefined);
  }

  /** The first line, of those read already and those to come, that matches; undefined if the stream ends without it. */
  line(pattern: RegExp): Promise<string | undefined> {
    const known = this.#lines.find((line) => pattern.test(line));
    if (known !== undefined || this.#ended) return Promise.resolve(known);
    return new Promise((resolve) => this.#waiting.add({ pattern, resolve }));
  }

  #add(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > 10_000) this.#lines = this.#lines.slice(-5_000);
    for (const waiter of [...this.#waiting]) if (waiter.pattern.test(line)) this.#settle(waiter, line);
  }

  #settle(waiter: Waiter, line: string | undefined): void {
    this.#waiting.delete(waiter);
    waiter.resolve(line);
  }
}

interface Waiter {
  readonly pattern: RegExp;
  readonly resolve: (line: string | undefined) => void;
}
