import { fromBase64, toBase64 } from './base64.js';
import type { Rules } from './redact-rules.js';

type Redact = (text: string, rules: Rules) => string;

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

/** Redacts what `data:` URLs of text hold. */
export function hideBase64(text: string, rules: Rules, redact: Redact): string {
  return text.replace(DATA_URL, (whole: string, ...rest: unknown[]) => {
    const { head, type, data } = rest.at(-1) as { head: string; type: string; data: string };
    return isTextual(type) ? `${head}${redactBase64(data, (inner) => redact(inner, rules))}` : whole;
  });
}
