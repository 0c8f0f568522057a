import type { Span } from './scan-json.js';

/** Puts `json` in the place of the value at `path`. */
export interface Edit {
  readonly path: readonly string[];
  /** The new value's JSON text. */
  readonly json: string;
}

/**
 * Where the value at `path` lies in a JSON text; `undefined` when there is none. Steps of the path are object keys, or array
 * indices in decimal. Of a key that comes twice the last one counts, as for `JSON.parse`. The text must be valid JSON: what
 * does not matter for finding the value is not checked.
 */
export function spanOf(text: string, path: readonly string[]): Span | undefined {
  let start = skipSpace(text, 0);
  for (const step of path) {
    const found = childOf(text, start, step);
    if (found < 0) return undefined;
    start = found;
  }
  const end = skipValue(text, start);
  return end > start ? { start, end } : undefined;
}

/** The JSON text of the value at `path`, as it stands; `undefined` when there is none. See {@link spanOf}. */
export function textAt(text: string, path: readonly string[]): string | undefined {
  const span = spanOf(text, path);
  return span === undefined ? undefined : text.slice(span.start, span.end);
}

/** The spans of an array's elements, in order; none when the text is not an array. */
export function elementSpans(text: string): readonly Span[] {
  const spans: Span[] = [];
  const open = skipSpace(text, 0);
  if (text.charCodeAt(open) !== OPEN_ARRAY) return spans;
  let at = skipSpace(text, open + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_ARRAY) {
    const end = skipValue(text, at);
    if (end <= at) break;
    spans.push({ start: at, end });
    at = skipSeparator(text, end);
  }
  return spans;
}

/** The JSON texts of an array's elements, in order; see {@link elementSpans}. */
export function elementTexts(text: string): readonly string[] {
  return elementSpans(text).map(({ start, end }) => text.slice(start, end));
}

/**
 * The same JSON text with other values at some paths; everything else stays as it is, byte for byte. Paths that are not
 * there are ignored, and so is an edit inside a value that another edit replaces.
 */
export function spliceMessage(text: string, edits: readonly Edit[]): string {
  const places: { readonly span: Span; readonly json: string }[] = [];
  for (const edit of edits) {
    const span = spanOf(text, edit.path);
    if (span !== undefined) places.push({ span, json: edit.json });
  }
  if (places.length === 0) return text;
  places.sort((a, b) => a.span.start - b.span.start || b.span.end - a.span.end);
  let out = '';
  let at = 0;
  for (const { span, json } of places) {
    if (span.start < at) continue;
    out += text.slice(at, span.start) + json;
    at = span.end;
  }
  return out + text.slice(at);
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Where the child `step` of the container at `start` begins, or -1. */
function childOf(text: string, start: number, step: string): number {
  const open = text.charCodeAt(start);
  if (open === OPEN_OBJECT) return memberOf(text, start, step);
  if (open === OPEN_ARRAY) return elementOf(text, start, step);
  return -1;
}

function memberOf(text: string, start: number, key: string): number {
  let found = -1;
  let at = skipSpace(text, start + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = skipString(text, at);
    const colon = skipSpace(text, keyEnd);
    if (text.charCodeAt(colon) !== COLON) return -1;
    const value = skipSpace(text, colon + 1);
    if (isKey(text.slice(at, keyEnd), key)) found = value;
    const end = skipValue(text, value);
    if (end <= value) return -1;
    at = skipSeparator(text, end);
  }
  return found;
}

function elementOf(text: string, start: number, step: string): number {
  let at = skipSpace(text, start + 1);
  for (let index = 0; at < text.length && text.charCodeAt(at) !== CLOSE_ARRAY; index += 1) {
    if (String(index) === step) return at;
    const end = skipValue(text, at);
    if (end <= at) return -1;
    at = skipSeparator(text, end);
  }
  return -1;
}

/** Whether a key's text, quotes included, is `key`; escapes are decoded only where there are any. */
function isKey(raw: string, key: string): boolean {
  if (!raw.includes('\\')) return raw.length === key.length + 2 && raw.startsWith(key, 1);
  try {
    return JSON.parse(raw) === key;
  } catch {
    return false;
  }
}

/** The end of the value at `start`; `start` itself where no value begins. */
export function skipValue(text: string, start: number): number {
  const code = text.charCodeAt(start);
  if (code === QUOTE) return skipString(text, start);
  if (code === OPEN_OBJECT || code === OPEN_ARRAY) return skipContainer(text, start);
  let at = start;
  while (at < text.length && !isDelimiter(text.charCodeAt(at))) at += 1;
  return at;
}

function skipContainer(text: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = skipString(text, at);
      continue;
    }
    at += 1;
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) depth += 1;
    else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return at;
}

export function skipString(text: string, start: number): number {
  let close = text.indexOf('"', start + 1);
  while (close > 0 && isEscaped(text, close)) close = text.indexOf('"', close + 1);
  return close < 0 ? text.length : close + 1;
}

/** Whether an odd number of backslashes stands before `at`. */
function isEscaped(text: string, at: number): boolean {
  let before = at;
  while (text.charCodeAt(before - 1) === BACKSLASH) before -= 1;
  return (at - before) % 2 === 1;
}

export function skipSeparator(text: string, start: number): number {
  const at = skipSpace(text, start);
  return text.charCodeAt(at) === COMMA ? skipSpace(text, at + 1) : at;
}

export function skipSpace(text: string, start: number): number {
  let at = start;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function isDelimiter(code: number): boolean {
  return code === COMMA || code === CLOSE_OBJECT || code === CLOSE_ARRAY || code === COLON || isSpace(code);
}
