/**
 * Header fields by lower-case name. A field that came several times and may not be joined (`set-cookie`) is a list.
 * Treated as immutable: change a copy with {@link withHeaders}.
 */
export type HeaderMap = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The first value of a field, or `undefined`. `name` in lower case. */
export function headerOf(headers: HeaderMap, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' || value === undefined ? value : value[0];
}

/** A copy of `headers` with the fields of `changes` set; a field set to `undefined` is left out. */
export function withHeaders(headers: HeaderMap, changes: HeaderMap): HeaderMap {
  const copy: Record<string, string | readonly string[] | undefined> = { ...headers };
  for (const name of Object.keys(changes)) {
    const value = changes[name];
    if (value === undefined) delete copy[name];
    else copy[name] = value;
  }
  return copy;
}
