/** A running hash (SHA-256). Bytes in, hex out; `with` leaves the running state as it was. */
export interface Digest {
  update(bytes: Uint8Array | string): void;
  /** The hash of everything so far and `suffix`, in lower-case hex. */
  with(suffix: string): string;
}
export type NewDigest = () => Digest;

/** A checkpoint is due after this many lines, bytes or milliseconds. */
export const CHECKPOINT_EVERY = { lines: 256, bytes: 1_048_576, ms: 1000 } as const;

/**
 * Checkpoints of a tape that is being written. Each covers the bytes from the beginning of the checkpoint before it (or of
 * the tape) up to its own member `sha`; so the checkpoints hold on to each other, and damage is found to the segment.
 * The writer reports what it has really written; nothing here is undone when a write fails.
 */
export class Seal {
  readonly #newDigest: NewDigest;
  #digest: Digest;
  #lines = 0;
  #sinceLines = 0;
  #sinceBytes = 0;
  #sinceTime: number | undefined;

  constructor(newDigest: NewDigest) {
    this.#newDigest = newDigest;
    this.#digest = newDigest();
  }

  /** Lines written so far. */
  get lines(): number {
    return this.#lines;
  }

  /** Whether lines were written since the last checkpoint. */
  get open(): boolean {
    return this.#sinceLines > 0;
  }

  /** `bytes`, which hold so many whole lines, were written at monotonic time `now`. */
  wrote(bytes: Uint8Array, lines: number, now: number): void {
    this.#digest.update(bytes);
    this.#lines += lines;
    this.#sinceLines += lines;
    this.#sinceBytes += bytes.length;
    this.#sinceTime ??= now;
  }

  /** Whether a checkpoint should be the next line. */
  due(now: number): boolean {
    if (this.#sinceLines === 0) return false;
    return (
      this.#sinceLines >= CHECKPOINT_EVERY.lines ||
      this.#sinceBytes >= CHECKPOINT_EVERY.bytes ||
      now - (this.#sinceTime ?? now) >= CHECKPOINT_EVERY.ms
    );
  }

  /** The checkpoint line for the present state, without line break. Changes nothing. */
  checkpoint(): string {
    return this.#signed(`{"k":"ckpt","lines":${this.#lines}`);
  }

  /** A segment begins: the next bytes that are reported begin with the checkpoint line just made. */
  restart(): void {
    this.#digest = this.#newDigest();
    // The checkpoint itself is reported as a line, and does not make another one due.
    this.#sinceLines = -1;
    this.#sinceBytes = 0;
    this.#sinceTime = undefined;
  }

  /** The last line. */
  end(lost: number, recovered = false): string {
    const mark = recovered ? ',"recovered":true' : '';
    return this.#signed(`{"k":"end","lines":${this.#lines},"lost":${lost}${mark}`);
  }

  #signed(line: string): string {
    return `${line},"sha":"${this.#digest.with(line)}"}`;
  }
}
