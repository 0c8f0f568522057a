export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A plain copy of a value, as its JSON says it. */
export function toJson(value: unknown): Json {
  return value === undefined ? null : (JSON.parse(JSON.stringify(value)) as Json);
}
