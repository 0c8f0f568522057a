import type { Log } from '@shadowcat/kernel';

const MAX_TEXT = 2000;
const MAX_LOGGED = 5;

/**
 * What a server writes to stdout that is no message, such as a greeting. Never fatal; the first few lines are logged, then
 * they are counted, so that a chatty server does not fill the log.
 */
export class Garbage {
  readonly #log: Log;
  readonly #about: object;
  readonly #onGarbage: ((line: string) => void) | undefined;
  #count = 0;

  /** `about` is what each log entry names. */
  constructor(log: Log, about: object, onGarbage: ((line: string) => void) | undefined) {
    this.#log = log;
    this.#about = about;
    this.#onGarbage = onGarbage;
  }

  report(text: string): void {
    this.#count += 1;
    const line = text.slice(0, MAX_TEXT);
    this.#onGarbage?.(line);
    if (this.#count > MAX_LOGGED) return;
    const more = this.#count === MAX_LOGGED ? '; further lines of this kind are only counted' : '';
    this.#log.warn({ ...this.#about, line }, `the server wrote something to stdout that is no message${more}`);
  }

  /** Logs how many lines were not shown, if any. */
  end(): void {
    const hidden = this.#count - MAX_LOGGED;
    if (hidden > 0)
      this.#log.info({ ...this.#about, lines: hidden }, 'stdout lines that are no message were not logged');
  }
}
