import type { HeaderMap } from '@shadowcat/kernel';
import { decodeHeaderValue, encodeHeaderValue, type Json, type Message, PARAM_HEADER_PREFIX } from '@shadowcat/wire';

/**
 * The `Mcp-Param-*` fields that an interceptor made wrong by changing `before` into `after`. Which argument a field repeats
 * stands in the tool's schema (2026-07-28, `x-mcp-header`), which is not known here: it is taken to be the one that had the
 * field's value. Fields that are right are left alone. For `withHeaders`.
 */
export function paramHeaders(headers: HeaderMap, before: Message, after: Message): HeaderMap {
  const changes: Record<string, string | undefined> = {};
  const names = Object.keys(headers).filter((name) => name.startsWith(PARAM_HEADER_PREFIX));
  if (names.length === 0) return changes;
  const old = leaves(argumentsOf(before));
  const current = new Map(leaves(argumentsOf(after)));
  for (const name of names) {
    const field = headers[name];
    const value = typeof field === 'string' ? decodeHeaderValue(field) : undefined;
    const sources = old.filter(([, text]) => text === value).map(([path]) => path);
    if (sources.length === 0 || sources.some((path) => current.get(path) === value)) continue;
    const changed = current.get(sources[0] ?? '');
    changes[name] = changed === undefined ? undefined : encodeHeaderValue(changed);
  }
  return changes;
}

function argumentsOf(message: Message): Json | undefined {
  const params = message.value['params'];
  return isRecord(params) ? params['arguments'] : undefined;
}

/** Texts, numbers and booleans inside a value, as a header field writes them, by their path. */
function leaves(value: Json | undefined, path = ''): [path: string, text: string][] {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return [[path, String(value)]];
  if (!isRecord(value)) return [];
  return Object.keys(value).flatMap((key) => leaves(value[key], `${path}/${key}`));
}

function isRecord(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
