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
  for (const { key, member } of membersOf(text, span.start)) {
    if (Object.hasOwn(changes, key)) touched = true;
    else kept.push(member);
  }
  for (const [key, json] of Object.entries(changes)) {
    if (json === undefined) continue;
    kept.push(`${JSON.stringify(key)}:${json}`);
    touched = true;
  }
  return touched ? `${text.slice(0, span.start)}{${kept.join(',')}}${text.slice(span.end)}` : text;
}

/** The object that `text` is, with those of its members only whose keys `keep` wants, byte for byte; `{}` when it is none. */
export function keepMembers(text: string, keep: (key: string) => boolean): string {
  const open = skipSpace(text, 0);
  const kept: string[] = [];
  if (text[open] === '{') for (const { key, member } of membersOf(text, open)) if (keep(key)) kept.push(member);
  return `{${kept.join(',')}}`;
}

/** The members of the object that begins at `open`, each with its text from the key to the end of the value. */
function* membersOf(text: string, open: number): Generator<{ readonly key: string; readonly member: string }> {
  for (let at = skipSpace(text, open + 1); text[at] === '"'; ) {
    const keyEnd = skipString(text, at);
    const end = skipValue(text, skipSpace(text, skipSpace(text, keyEnd) + 1));
    yield { key: keyOf(text.slice(at, keyEnd)), member: text.slice(at, end) };
    at = skipSeparator(text, end);
  }
}

function keyOf(raw: string): string {
  return raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
}
