import type { Redactor } from './redact.js';

const MAX_KEPT = 512;
const MAX_KEPT_LENGTH = 256;

interface Shown {
  readonly value: string;
  readonly text: string;
}

/** What header fields, request targets and the like look like on a tape, as JSON text. They come again and again: each is made once. */
export class ShownTexts {
  readonly #redactor: Redactor;
  readonly #texts = new Map<string, string>();
  /** By name the value that came last, which comes again most of the time; then by name and value. */
  readonly #last = new Map<string, Shown>();
  readonly #fields = new Map<string, string>();

  constructor(redactor: Redactor) {
    this.#redactor = redactor;
  }

  /** A JSON string. */
  text(value: string): string {
    const known = this.#texts.get(value);
    if (known !== undefined) return known;
    const text = JSON.stringify(this.#redactor.text(value));
    if (this.#texts.size < MAX_KEPT && value.length < MAX_KEPT_LENGTH) this.#texts.set(value, text);
    return text;
  }

  /** A member of a JSON object. */
  field(name: string, value: string): string {
    const last = this.#last.get(name);
    if (last?.value === value) return last.text;
    const text = this.#field(name, value);
    if ((last !== undefined || this.#last.size < MAX_KEPT) && value.length < MAX_KEPT_LENGTH)
      this.#last.set(name, { value, text });
    return text;
  }

  #field(name: string, value: string): string {
    const key = `${name}:${value}`;
    const known = this.#fields.get(key);
    if (known !== undefined) return known;
    const text = `${JSON.stringify(name)}:${JSON.stringify(this.#redactor.header(name, value))}`;
    if (this.#fields.size < MAX_KEPT && key.length < MAX_KEPT_LENGTH) this.#fields.set(key, text);
    return text;
  }
}
