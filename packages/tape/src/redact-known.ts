import type { Tape } from './records.js';
import type { Hmac, Redactor } from './redact.js';
import { SECRET_KEYS, secretKeys, WEAK_KEYS } from './redact-keys.js';
import { looksRandom } from './redact-patterns.js';

const isSecret = secretKeys(SECRET_KEYS);
const isWeak = secretKeys(WEAK_KEYS);

/** Of header fields or variables, the values that are secrets as their names say; `Bearer` and the like apart. */
export function secretValues(fields: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(fields).flatMap(([name, value = '']) => {
    const secret = value.replace(/^(?:bearer|basic|token)[ \t]+/i, '');
    return isSecret(name) || (isWeak(name) && looksRandom(secret)) ? [secret] : [];
  });
}

/** The tape as if its requests had been recorded with this redactor, so that it does not matter which rules they were under. */
export function withRequestsRedacted(tape: Tape, redactor: Redactor): Tape {
  const records = tape.records.map((record) => {
    if (record.k !== 'msg' || record.from !== 'client') return record;
    const text = redactor.json(record.text);
    return text === record.text ? record : { ...record, text };
  });
  return { ...tape, records };
}

/** What could be a secret by itself: a word without anything that JSON would spell otherwise. */
const WORD = /[^\s"'\\,;=:{}[\]()<>&?~]{6,512}/g;
const PLACEHOLDER = /~redacted\.([0-9a-f]{16})~/g;
const NUMBER = /^[\d.eE+-]+$/;
const MAX_CACHED = 4096;

/**
 * A redactor that hides, besides, what was hidden in the requests of these tapes for reasons that it does not know, such as
 * patterns and values of the recording's configuration: the placeholder tells. It needs the key of the recording, as everything
 * else does.
 */
export function recognising(redactor: Redactor, hmac: Hmac, tapes: readonly Tape[]): Redactor {
  const hidden = new Set<string>();
  for (const { records } of tapes) {
    for (const record of records) {
      if (record.k !== 'msg' || record.from !== 'client') continue;
      for (const [, digits = ''] of record.text.matchAll(PLACEHOLDER)) hidden.add(digits);
    }
  }
  if (hidden.size === 0) return redactor;
  const digests = new Map<string, string>();
  const digestOf = (word: string): string => {
    const known = digests.get(word);
    if (known !== undefined) return known;
    const digest = hmac(word).slice(0, 16);
    if (digests.size < MAX_CACHED) digests.set(word, digest);
    return digest;
  };
  const recognise = (text: string): string =>
    // A number outside of a string has to stay one.
    text.replace(WORD, (word) =>
      !NUMBER.test(word) && hidden.has(digestOf(word)) ? `~redacted.${digestOf(word)}~` : word,
    );
  return { ...redactor, json: (text) => recognise(redactor.json(text)) };
}
