import { fromBase64, toBase64 } from './base64.js';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const TEXTUAL = /^(?:text\/|application\/(?:[\w.+-]+\+)?(?:json|xml|yaml|toml|x-sh|x-yaml|javascript|sql)\b)/i;
const DATA_URL =
  /(?<head>data:(?<type>[\w.+/-]{3,64})(?:;[\w-]{1,32}=[\w.-]{1,64})?;base64,)(?<data>[A-Za-z0-9+/]{8,}={0,2})/g;

/** Whether what has this MIME type is text, so that secrets can be found in it. */
export function isTextual(mimeType: string): boolean {
  return TEXTUAL.test(mimeType);
}

/** Redacts base64 (RFC 4648, 4) of UTF-8 text. What is neither, and what holds no secret, stays as it is. */
export function redactBase64(data: string, redact: (text: string) => string): string {
  const bytes = fromBase64(data);
  if (bytes === undefined) return data;
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return data;
  }
  const redacted = redact(text);
  return redacted === text ? data : toBase64(encoder.encode(redacted));
}

/** Beyond this a word is not decoded, in characters: recorders have other things to do. */
const MAX_WORD = 4_194_304;
/** The four characters that three bytes of ASCII become: their highest bits are 0. */
const ASCII = '[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/]';
/** Base64 that begins like text. */
const WORD = new RegExp(`(?<![A-Za-z0-9+/_-])(?:${ASCII}){6}[A-Za-z0-9+/]*={0,2}(?![\\w+/=-])`, 'g');
const BEGINS = new RegExp(`(?:${ASCII}){6}`);

/** Whether there may be base64 of text in a text. */
export function mayHoldBase64(text: string): boolean {
  return BEGINS.test(text);
}

/** Redacts what `data:` URLs of text hold, and words that are base64 of printable text. */
export function hideBase64(text: string, redact: (text: string) => string): string {
  const urls = !text.includes(';base64,')
    ? text
    : text.replace(DATA_URL, (whole: string, ...rest: unknown[]) => {
        const { head, type, data } = rest.at(-1) as { head: string; type: string; data: string };
        return isTextual(type) ? `${head}${redactBase64(data, redact)}` : whole;
      });
  if (!mayHoldBase64(urls)) return urls;
  return urls.replace(WORD, (word) => {
    if (word.length % 4 !== 0 || word.length > MAX_WORD) return word;
    return redactBase64(word, (inner) => (PRINTABLE.test(inner) ? redact(inner) : inner));
  });
}

const PRINTABLE = /^[^\p{Cc}]*(?:[\t\n\r][^\p{Cc}]*)*$/u;
/** `user:password` in base64, as HTTP's Basic authentication has it. */
const BASIC = /^[\x20-\x39\x3b-\x7e]{1,256}:[\x20-\x7e]{1,256}$/;

/** Whether a value is what follows `Basic`. */
export function isBasic(value: string): boolean {
  if (!/^[A-Za-z0-9+/]{8,684}={0,2}$/.test(value) || value.length % 4 !== 0) return false;
  const bytes = fromBase64(value);
  return bytes !== undefined && BASIC.test(String.fromCharCode(...bytes));
}
