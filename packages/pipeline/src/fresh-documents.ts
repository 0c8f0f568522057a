import type { Clock } from '@shadowcat/kernel';
import type { MetadataOrigin } from './metadata-origin.js';

/** How long a document is served without asking again, in milliseconds. */
const FRESH_MS = 60_000;
/** The same for "there is none": a server that is being set up has one soon. */
const ABSENT_MS = 5_000;
/** How many answers are kept; the oldest go first. */
const MAX_KEPT = 32;

interface Kept {
  readonly text: Promise<string | undefined>;
  /** When to ask again; while it is being asked, never. */
  until: number;
}

/**
 * JSON documents of servers, kept for a short time, so that clients cannot make the proxy ask more often. All who want the
 * same document wait for one answer. Failures are not kept.
 */
export class FreshDocuments {
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The text of the JSON object at `path`; `undefined` when there is none. Rejects when the server does not answer. */
  get(origin: MetadataOrigin, path: string): Promise<string | undefined> {
    const key = `${origin.name} ${path}`;
    const known = this.#kept.get(key);
    if (known !== undefined && known.until > this.#clock.now()) return known.text;
    this.#kept.delete(key);
    const kept: Kept = { text: asked(origin, path), until: Number.POSITIVE_INFINITY };
    kept.text.then(
      (text) => {
        kept.until = this.#clock.now() + (text === undefined ? ABSENT_MS : FRESH_MS);
      },
      () => {
        kept.until = Number.NEGATIVE_INFINITY;
      },
    );
    this.#kept.set(key, kept);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_KEPT) break;
      this.#kept.delete(oldest);
    }
    return kept.text;
  }
}

async function asked(origin: MetadataOrigin, path: string): Promise<string | undefined> {
  const bytes = await origin.document(path);
  return bytes === undefined ? undefined : objectText(bytes);
}

/** Strict, so that what is sent on as it came is as it came. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function objectText(bytes: Uint8Array): string | undefined {
  try {
    const text = decoder.decode(bytes);
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? text : undefined;
  } catch {
    return undefined;
  }
}
