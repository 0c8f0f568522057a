import type { JsonObject } from './jsonrpc.js';

/** A parsed value as an object; `undefined` when it is none. */
export function asObject(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** The object that is the member `key` of an object; `undefined` when either is none. */
export function objectAt(value: unknown, key: string): JsonObject | undefined {
  return asObject(asObject(value)?.[key]);
}
