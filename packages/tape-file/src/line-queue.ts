/** What a queue holds, as text to be written. */
export interface Lines {
  /** Each line with its line break. */
  readonly text: string;
  readonly lines: number;
  /** Records among them. */
  readonly records: number;
}

interface Gap {
  lost: number;
  readonly why: string;
}

/**
 * Records that wait to be written, with a `gap` in each place where some were left out. The first of a gap's reasons is the
 * one that it has.
 */
export class LineQueue {
  #entries: (string | Gap)[] = [];
  #gaps = 0;
  #size = 0;

  /** Characters of records. */
  get size(): number {
    return this.#size;
  }

  /** Records, and places where some are missing. */
  get length(): number {
    return this.#entries.length;
  }

  get records(): number {
    return this.#entries.length - this.#gaps;
  }

  /** Takes one record's line, without line break. */
  add(line: string): void {
    this.#entries.push(line);
    this.#size += line.length;
  }

  /** So many records are missing behind what waits. */
  lose(lost: number, why: string): void {
    const last = this.#entries.at(-1);
    if (typeof last === 'object') last.lost += lost;
    else this.#entries.push(this.#gap(lost, why));
  }

  /** So many records are missing before what waits. */
  loseBefore(lost: number, why: string): void {
    const [first] = this.#entries;
    if (typeof first === 'object') first.lost += lost;
    else this.#entries.unshift(this.#gap(lost, why));
  }

  /** What it holds. Changes nothing. */
  lines(): Lines {
    const entries = this.#gaps === 0 ? this.#entries : this.#entries.map(lineOf);
    return {
      text: entries.length === 0 ? '' : `${entries.join('\n')}\n`,
      lines: entries.length,
      records: this.records,
    };
  }

  /** Gives up the newest records until at most `size` characters are left. How many. */
  shrink(size: number, why: string): number {
    let given = 0;
    let missing = 0;
    while (this.#size > size) {
      const last = this.#entries.pop();
      if (typeof last === 'object') {
        missing += last.lost;
        this.#gaps -= 1;
      } else if (last !== undefined) {
        this.#size -= last.length;
        given += 1;
      }
    }
    if (given > 0) this.lose(given + missing, why);
    return given;
  }

  /** Takes everything out, into a queue of its own. */
  take(): LineQueue {
    const taken = new LineQueue();
    taken.#entries = this.#entries;
    taken.#gaps = this.#gaps;
    taken.#size = this.#size;
    this.clear();
    return taken;
  }

  /** Forgets what it holds: it was written. */
  clear(): void {
    this.#entries = [];
    this.#gaps = 0;
    this.#size = 0;
  }

  /** Puts what was taken back before what came since. */
  putBack(taken: LineQueue): void {
    this.#entries = [...taken.#entries, ...this.#entries];
    this.#gaps += taken.#gaps;
    this.#size += taken.#size;
  }

  #gap(lost: number, why: string): Gap {
    this.#gaps += 1;
    return { lost, why };
  }
}

function lineOf(entry: string | Gap): string {
  return typeof entry === 'string' ? entry : `{"k":"gap","lost":${entry.lost},"why":${JSON.stringify(entry.why)}}`;
}
