const PREFIX = '=?base64?';
const SUFFIX = '?=';
const CANONICAL = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * What an `Mcp-Name` or `Mcp-Param-*` value says: itself without surrounding white space, or the UTF-8 text inside
 * `=?base64?…?=`; `undefined` when that is malformed (2026-07-28, Streamable HTTP, "Value Encoding").
 */
export function decodeHeaderValue(value: string): string | undefined {
  const own = withoutSpace(value);
  if (!isEncoded(own)) return own;
  const encoded = own.slice(PREFIX.length, -SUFFIX.length);
  if (!CANONICAL.test(encoded)) return undefined;
  try {
    return utf8.decode(Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0)));
  } catch {
    return undefined;
  }
}

/** The opposite: the value as it is where a header can hold it, else in Base64. */
export function encodeHeaderValue(value: string): string {
  if (value !== '' && value === value.trim() && !isEncoded(value) && isPlain(value)) return value;
  let binary = '';
  for (const byte of encoder.encode(value)) binary += String.fromCharCode(byte);
  return `${PREFIX}${btoa(binary)}${SUFFIX}`;
}

function isEncoded(value: string): boolean {
  return value.length >= PREFIX.length + SUFFIX.length && value.startsWith(PREFIX) && value.endsWith(SUFFIX);
}

/** Visible ASCII, space and tab (RFC 9110, section 5.5). */
function isPlain(value: string): boolean {
  for (let at = 0; at < value.length; at += 1) {
    const code = value.charCodeAt(at);
    if (code !== 0x09 && (code < 0x20 || code > 0x7e)) return false;
  }
  return true;
}

/** Without optional white space at the ends (RFC 9110, section 5.5). */
export function withoutSpace(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(value.charCodeAt(start))) start += 1;
  while (end > start && isBlank(value.charCodeAt(end - 1))) end -= 1;
  return value.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
