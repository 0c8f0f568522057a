import type { Log } from '@shadowcat/kernel';

/** How many tapes keep their file open. Others open it again for what comes. */
const MAX_OPEN = 512;
/** How few may be left open where the system has no descriptors. */
const MIN_OPEN = 8;
/** How many tapes are finished at the same time. */
const MAX_TURNS = 32;
/** How many characters the tapes that cannot be written may keep together until they can. */
const MAX_HELD = 16_777_216;

/** A tape that can close its file for a while. */
export interface Resting {
  /** Does so, and says {@link TapeShelf.closed}, unless it is busy. */
  rest(): void;
}

/**
 * What the tapes of one recorder share: how many files are open, how much is kept for a disk that is full, and one line in the
 * log when writing begins to fail and one when it works again, however many tapes there are.
 */
export class TapeShelf {
  readonly #log: Log;
  #maxOpen: number;
  readonly #maxHeld: number;
  readonly #open = new Set<Resting>();
  /** What is kept, by tape that cannot be written. */
  readonly #failing = new Map<string, number>();
  #held = 0;
  readonly #maxTurns: number;
  #turns = 0;
  readonly #waiting: (() => void)[] = [];
  #said: string | undefined;
  /** The tape that lacked a descriptor first. */
  #starved: string | undefined;
  #lost = 0;

  constructor(log: Log, { maxOpen = MAX_OPEN, maxHeld = MAX_HELD, maxTurns = MAX_TURNS } = {}) {
    this.#log = log;
    this.#maxTurns = maxTurns;
    this.#maxOpen = maxOpen;
    this.#maxHeld = maxHeld;
  }

  /** A tape has opened its file: the one that did so first closes its own, when there are too many. */
  opened(tape: Resting): void {
    this.#open.delete(tape);
    this.#open.add(tape);
    this.#thin(tape);
  }

  /** Whether more files are open than should be: some were busy when they were to be closed. */
  get crowded(): boolean {
    return this.#open.size > this.#maxOpen;
  }

  /** A tape has closed its file. */
  closed(tape: Resting): void {
    this.#open.delete(tape);
  }

  /** Does what needs a file for each of very many tapes, for a few at a time. */
  async inTurn(work: () => Promise<void>): Promise<void> {
    while (this.#turns >= this.#maxTurns) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#turns += 1;
    try {
      await work();
    } finally {
      this.#turns -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** How many characters a tape that cannot be written may keep. */
  share(part: string): number {
    return this.#maxHeld - this.#held + (this.#failing.get(part) ?? 0);
  }

  /** A tape that cannot be written keeps so much. */
  hold(part: string, size: number): void {
    this.#held += size - (this.#failing.get(part) ?? 0);
    this.#failing.set(part, size);
  }

  /** A tape cannot be written. */
  failed(part: string, error: unknown): void {
    if (!this.#failing.has(part)) this.#failing.set(part, 0);
    const why = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && 'code' in error ? String(error.code) : why;
    if (code === 'EMFILE' || code === 'ENFILE') this.#halve(part);
    if (this.#said === code) return;
    this.#said = code;
    this.#log.error(
      { err: error, tape: part },
      `cannot write the tape ${part}: ${why}. Writing is tried again each second; what does not fit into memory until then is lost`,
    );
  }

  /** A tape is written, of which so many records are lost. */
  works(part: string, lost: number): void {
    const failed = this.#leave(part);
    if (failed) this.#lost += lost;
    if (this.#said === undefined || this.#failing.size > 0) return;
    this.#said = undefined;
    const missing = this.#lost === 0 ? 'nothing is lost' : `${this.#lost} records are lost`;
    this.#log.info({ tape: part, lost: this.#lost }, `the tape ${part} can be written again; ${missing}`);
    this.#lost = 0;
  }

  /** A tape is no longer written, whether it could be or not. */
  ended(part: string, tape: Resting): void {
    this.#leave(part);
    this.#open.delete(tape);
  }

  /** Leaves half of the files open; all that lack a descriptor count as one. */
  #halve(part: string): void {
    this.#starved ??= part;
    if (this.#starved !== part) return;
    this.#maxOpen = Math.max(MIN_OPEN, Math.floor(Math.min(this.#maxOpen, this.#open.size) / 2));
    this.#thin();
  }

  /** Closes files that were opened long ago, until there are not too many, but not that of `tape`. */
  #thin(tape?: Resting): void {
    for (const other of this.#open) {
      if (!this.crowded) return;
      if (other !== tape) other.rest();
    }
  }

  #leave(part: string): boolean {
    const held = this.#failing.get(part);
    if (this.#starved === part) this.#starved = undefined;
    this.#held -= held ?? 0;
    return this.#failing.delete(part);
  }
}
