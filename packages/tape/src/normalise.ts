import type { Normaliser } from './overlay.js';

const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi;
/** ISO 8601 and RFC 3339, with a time of day. */
const TIMESTAMP = /\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?/gi;
/** Up to and with the folder's own name: what is below it is the test's. */
const TEMPORARY = [
  /(?:\/private)?\/(?:var\/)?tmp\/[^/\s"'<>|]+/g,
  /(?:\/private)?\/var\/folders\/[^/\s]+\/[^/\s]+\/T\/[^/\s"'<>|]+/g,
  /[A-Za-z]:\\(?:Users\\[^\\\s]+\\AppData\\Local\\Temp|Windows\\Temp)\\[^\\\s"'<>|]+/g,
];
/** Seconds, milliseconds or microseconds since 1970, from 2001 to 2286. */
const EPOCH = /^[1-9]\d{9}(?:\d{3}){0,2}(?:\.\d+)?$/;

/** A string with what is of this kind replaced by the kind's name. */
export function normalised(content: string, kind: Normaliser): string {
  if (kind === 'uuid') return content.replaceAll(UUID, '~uuid~');
  if (kind === 'timestamp') return content.replaceAll(TIMESTAMP, '~timestamp~');
  let out = content;
  for (const pattern of TEMPORARY) out = out.replaceAll(pattern, '~temporary-path~');
  return out;
}

/** Whether a number may be a time; asked only where a rule names the place. */
export function isEpoch(number: string): boolean {
  return EPOCH.test(number);
}
