import type { HeaderMap } from '@shadowcat/kernel';
import { decodeHeaderValue } from '@shadowcat/wire';

/** Header fields that repeat arguments of a call (2026-07-28). */
export const PARAM_PREFIX = 'mcp-param-';

/**
 * The fields of a request without those that repeat an argument which is hidden in its body: the field's own name need not say
 * that it is a secret. `texts` are the messages as they passed and as they are recorded.
 */
export function withoutHiddenParams(
  headers: HeaderMap,
  texts: () => readonly { readonly passed: string; readonly recorded: string }[],
): HeaderMap {
  if (!hasParams(headers)) return headers;
  const messages = texts();
  if (messages.every(({ passed, recorded }) => passed === recorded)) return headers;
  const repeats = ([name, field]: readonly [string, unknown]): boolean => {
    const value = JSON.stringify(decodeHeaderValue(String(field)) ?? '').slice(1, -1);
    return !name.startsWith(PARAM_PREFIX) || messages.some(({ recorded }) => recorded.includes(value));
  };
  return Object.fromEntries(Object.entries(headers).filter(repeats));
}

function hasParams(headers: HeaderMap): boolean {
  for (const name in headers) if (name.startsWith(PARAM_PREFIX)) return true;
  return false;
}
