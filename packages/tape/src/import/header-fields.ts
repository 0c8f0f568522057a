import type { HeaderMap } from '@shadowcat/kernel';

/** Header fields as they stand in a file, by their names in lower case. Those of HTTP/2 that begin with a colon are no fields of a header. */
export function headerMapOf(fields: Iterable<readonly [name: string, value: string]>): HeaderMap {
  const headers = new Map<string, string[]>();
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    if (key === '' || key.startsWith(':')) continue;
    headers.set(key, [...(headers.get(key) ?? []), value]);
  }
  return Object.fromEntries(
    [...headers].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values]),
  );
}
