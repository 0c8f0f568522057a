/** How a tape's writer is doing. `failing`: it cannot write, drops what comes, and keeps trying. */
export interface WriterState {
  readonly status: 'ok' | 'failing' | 'closed';
  /** Records handed to the operating system. */
  readonly written: number;
  readonly bytes: number;
  /** Records that are not on the tape: dropped from a full queue, or not writable. */
  readonly lost: number;
  /** Records that wait to be written. */
  readonly queued: number;
  /** Why it is failing, or failed last. */
  readonly error?: string;
}

/** Where a tape's lines go. Never throws or rejects: a recording in trouble is reported by {@link state}. */
export interface TapeWriter {
  /** The tape's name once it is finished: usually a path. */
  readonly name: string;
  /** Takes one record's line, without line break. */
  append(line: string): void;
  /** Backpressure: when the queue is full, a promise of room in it. Whoever makes records waits for it between two. */
  room(): Promise<void> | undefined;
  /** When everything that was taken so far is written, or cannot be. `undefined`, or absent: it is. */
  settled?(): Promise<void> | undefined;
  state(): WriterState;
  /** Writes what is queued and the `end` record, and closes the tape. Idempotent. */
  finish(): Promise<void>;
}
