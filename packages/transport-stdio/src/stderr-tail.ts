/** Keeps the end of what a child wrote to stderr, and hands it on line by line. */
export class StderrTail {
  readonly #limit: number;
  readonly #onLine: ((line: string) => void) | undefined;
  #tail = '';
  #unfinished = '';

  /** `limit` in characters; a longer line is handed on in pieces of a quarter of it. */
  constructor(limit: number, onLine: ((line: string) => void) | undefined) {
    this.#limit = limit;
    this.#onLine = onLine;
  }

  get text(): string {
    return this.#tail;
  }

  /** The last lines that are not blank, oldest first. */
  lastLines(count: number): string[] {
    const lines = this.#tail.slice(-count * 1000).split('\n');
    return lines
      .map((line) => line.trimEnd())
      .filter((line) => line.trim() !== '')
      .slice(-count);
  }

  push(text: string): void {
    this.#tail = (this.#tail + text).slice(-this.#limit);
    const onLine = this.#onLine;
    if (onLine === undefined) return;
    const lines = (this.#unfinished + text).split('\n');
    this.#unfinished = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') onLine(line.trimEnd());
    if (this.#unfinished.length > this.#limit / 4) this.end();
  }

  end(): void {
    const rest = this.#unfinished;
    this.#unfinished = '';
    if (rest.trim() !== '') this.#onLine?.(rest.trimEnd());
  }
}
