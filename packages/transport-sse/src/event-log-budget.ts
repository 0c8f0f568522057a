/** An event that is kept: its bytes are held here once, for sending, for replaying and for storing. */
export interface Entry {
  readonly seq: number;
  readonly bytes: Uint8Array;
  /** Lets go of it, because there is no room: it is the oldest of its stream. */
  readonly evict: () => void;
}

/** What one event costs besides its bytes, as measured: the entry, its closure, its buffer and its places in three lists. */
const ENTRY_BYTES = 470;

/** Entries in the order of their coming, bounded in number and bytes; the oldest go first. */
export class Budget {
  readonly #limits: { readonly events: number; readonly bytes: number };
  readonly #entries = new Set<Entry>();
  #bytes = 0;

  constructor(limits: { readonly events: number; readonly bytes: number }) {
    this.#limits = limits;
  }

  get events(): number {
    return this.#entries.size;
  }
  get bytes(): number {
    return this.#bytes;
  }

  add(entry: Entry): void {
    this.#entries.add(entry);
    this.#bytes += entry.bytes.length + ENTRY_BYTES;
  }

  remove(entry: Entry): void {
    if (this.#entries.delete(entry)) this.#bytes -= entry.bytes.length + ENTRY_BYTES;
  }

  /** Evicts what is too much; the newest entry stays, however large. */
  enforce(): void {
    for (const entry of this.#entries) {
      if (this.#entries.size <= this.#limits.events && this.#bytes <= this.#limits.bytes) return;
      if (this.#entries.size === 1) return;
      entry.evict();
    }
  }
}
