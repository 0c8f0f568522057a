import { type JsonObject, spanOf } from '@shadowcat/wire';

/** The JSON text of an object's member as it stands; `undefined` when there is none. */
export function memberText(text: string, path: readonly string[]): string | undefined {
  const span = spanOf(text, path);
  return span === undefined ? undefined : text.slice(span.start, span.end);
}

/**
 * An object made anew from the texts of its own members, so that numbers and escapes survive: those that `keep` wants, then
 * `more` (JSON texts by name), which count most. `value` is what `text` says.
 */
export function rebuilt(
  text: string,
  value: JsonObject,
  changes: { readonly keep?: (name: string) => boolean; readonly more?: Readonly<Record<string, string>> },
): string {
  const { keep = () => true, more = {} } = changes;
  const parts: string[] = [];
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(more, name) || !keep(name)) continue;
    const own = memberText(text, [name]);
    if (own !== undefined) parts.push(`${JSON.stringify(name)}:${own}`);
  }
  for (const [name, json] of Object.entries(more)) parts.push(`${JSON.stringify(name)}:${json}`);
  return `{${parts.join(',')}}`;
}

/** A value as an object, or `undefined`. */
export function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}
