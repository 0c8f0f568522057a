import { skipSeparator, skipSpace, skipString, skipValue, spanOf } from './splice.js';

/** What becomes of an object's members, by key: the JSON text of the new value, or `undefined` to leave the member out. */
export type MemberChanges = Readonly<Record<string, string | undefined>>;

/**
 * The same JSON text with other members in the object at `path`. What is set comes last, in the order of `changes`; all other
 * members stay as they are, byte for byte. Where no object is at `path`, the text comes back unchanged. The text must be valid
 * JSON.
 */
export function withMembers(text: string, path: readonly string[], changes: MemberChanges): string {
  const span = spanOf(text, path);
  if (span === undefined || text[span.start] !== '{') return text;
  const kept: string[] = [];
  let touched = false;
  for (let at = skipSpace(text, span.start + 1); text[at] === '"'; ) {
    const keyEnd = skipString(text, at);
    const end = skipValue(text, skipSpace(text, skipSpace(text, keyEnd) + 1));
    if (Object.hasOwn(changes, keyOf(text.slice(at, keyEnd)))) touched = true;
    else kept.push(text.slice(at, end));
    at = skipSeparator(text, end);
  }
  for (const [key, json] of Object.entries(changes)) {
    if (json === undefined) continue;
    kept.push(`${JSON.stringify(key)}:${json}`);
    touched = true;
  }
  return touched ? `${text.slice(0, span.start)}{${kept.join(',')}}${text.slice(span.end)}` : text;
}

function keyOf(raw: string): string {
  return raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
}
