import { ProxyError } from '@shadowcat/kernel';
import { createOffload, type Offload } from '@shadowcat/offload';
import { createRedactor, type RedactionOptions, type Redactor } from '@shadowcat/tape';
import { TAPE_WORKER } from './read-file.js';
import { hmacWith, type TapeKey } from './tape-key.js';

/** How a recording hides secrets. */
export interface Redaction {
  readonly redactor: Redactor;
  /** The fingerprint of the key. */
  readonly keyId: string;
  /**
   * The redactor's `json` for large texts, on a worker, one at a time; `undefined` for others. Rejects with `cancelled` after ten
   * seconds of it, or when its turn has not come within thirty.
   */
  readonly later: (text: string) => Promise<string> | undefined;
  /** Ends the worker, if there was one. Idempotent. */
  close(): Promise<void>;
}

/** What the worker's `redact` is given. */
export interface RedactJob {
  readonly text: string;
  readonly options: RedactionOptions;
  /** The key as hex digits. */
  readonly key: string;
}

/**
 * From so many characters on a message can take several milliseconds, during which nothing else would happen: one with many secrets
 * from the first, any from the second.
 */
const SUSPECT = 16_384;
const LARGE = 65_536;

/** A worker that starts again for each large message would cost more than the message. */
const IDLE_MS = 60_000;
/** The built-in rules take time in proportion to the text; a project's pattern may not, and must not hold up the tape for good. */
const JOB_MS = 10_000;
/** Nor must many such texts together: whoever makes records may be waiting. */
const TURN_MS = 30_000;

/**
 * No worker is started before the first large text. Owns `offload`, whose workers are of `TAPE_WORKER`. Throws `SyntaxError` for a
 * pattern that is no regular expression.
 */
export function openRedaction(
  options: RedactionOptions,
  key: TapeKey,
  offload: Offload = createOffload({ module: TAPE_WORKER, idleMs: IDLE_MS }),
): Redaction {
  const redactor = createRedactor(options, key.hmac);
  let turn: Promise<unknown> = Promise.resolve();
  const later = (text: string): Promise<string> | undefined => {
    if (options.off === true || text.length < SUSPECT) return undefined;
    if (text.length < LARGE && !redactor.suspects(text)) return undefined;
    const by = performance.now() + TURN_MS;
    // Side by side they would use up each other's time.
    const made = turn.then(() => onWorker(text, by));
    turn = made.catch(() => {});
    return made;
  };
  const onWorker = async (text: string, by: number): Promise<string> => {
    if (performance.now() > by) throw new ProxyError('cancelled', 'others took too long');
    const job = (of: string): RedactJob => ({ text: of, options, key: key.hex });
    // The limit is for the rules. A worker that has to be started first may take its time on a busy machine.
    await offload.run('redact', job('""'));
    return offload.run<string>('redact', job(text), { signal: AbortSignal.timeout(JOB_MS) });
  };
  return { redactor, keyId: key.id, later, close: () => offload.close() };
}

let last: { readonly rules: string; readonly redactor: Redactor } | undefined;

/** Redacts on this thread; rules that come again are not made again. */
export function redactHere({ text, options, key }: RedactJob): string {
  const rules = JSON.stringify([key, options]);
  if (last?.rules !== rules) last = { rules, redactor: createRedactor(options, hmacWith(key)) };
  return last.redactor.json(text);
}
