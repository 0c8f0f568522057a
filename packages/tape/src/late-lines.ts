/** What waits for its turn before whoever makes records has to wait too, in characters. */
const MAX_WAITING = 8_388_608;

interface Waiting {
  line: string | undefined;
  readonly size: number;
}

/**
 * Lines of which some take a while to be made: they come out in the order in which they went in. While nothing is being made,
 * lines pass through at once.
 */
export class LateLines {
  readonly #append: (line: string) => void;
  readonly #waiting: Waiting[] = [];
  readonly #making = new Set<Promise<void>>();
  #size = 0;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(append: (line: string) => void) {
    this.#append = append;
  }

  /** Lines that wait. */
  get length(): number {
    return this.#waiting.length;
  }

  add(line: string): void {
    if (this.#waiting.length === 0) this.#append(line);
    else this.#wait({ line, size: line.length });
  }

  /** `made` must not reject. `size`: about how long the line will be. */
  addLate(made: Promise<string>, size: number): void {
    const waiting: Waiting = { line: undefined, size };
    this.#wait(waiting);
    const making = made.then((line) => {
      waiting.line = line;
      this.#making.delete(making);
      this.#release();
    });
    this.#making.add(making);
  }

  /** When too much waits: a promise of room. */
  room(): Promise<void> | undefined {
    if (this.#size < MAX_WAITING) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  /** When nothing waits any more. */
  async settled(): Promise<void> {
    while (this.#making.size > 0) await Promise.all(this.#making);
  }

  #wait(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#size += waiting.size;
  }

  #release(): void {
    for (let first = this.#waiting[0]; first?.line !== undefined; first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#size -= first.size;
      this.#append(first.line);
    }
    if (this.#size >= MAX_WAITING) return;
    this.#room?.resolve();
    this.#room = undefined;
  }
}
