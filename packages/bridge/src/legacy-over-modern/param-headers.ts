import type { HeaderMap } from '@shadowcat/kernel';
import { encodeHeaderValue, type Json, type JsonObject, PARAM_HEADER_PREFIX } from '@shadowcat/wire';
import { asObject, objectAt } from './client-facts.js';

/** An argument of a tool that a modern request has to repeat in a header. */
interface Declared {
  readonly path: readonly string[];
  /** The header's name, in lower case. */
  readonly header: string;
}

/** How many tools with such arguments are remembered for a session. */
const MAX_TOOLS = 1000;
/** How deep a schema is looked into. */
const MAX_DEPTH = 16;

/**
 * Which arguments of which tools go into `Mcp-Param-*` headers (2026-07-28, `x-mcp-header`): learnt from the tool lists that
 * pass.
 */
export class ParamHeaders {
  readonly #tools = new Map<string, readonly Declared[]>();

  /** A result of `tools/list`. */
  learn(result: JsonObject | undefined): void {
    const tools = result?.['tools'];
    if (!Array.isArray(tools)) return;
    for (const tool of tools as readonly Json[]) {
      const name = asObject(tool)?.['name'];
      if (typeof name !== 'string') continue;
      const declared = declaredIn(objectAt(tool, 'inputSchema'), []);
      this.#tools.delete(name);
      if (declared.length > 0 && this.#tools.size < MAX_TOOLS) this.#tools.set(name, declared);
    }
  }

  /** The headers for a call with these `params`. */
  of(params: JsonObject | undefined): HeaderMap {
    const declared = this.#tools.get(String(params?.['name']));
    const headers: Record<string, string> = {};
    for (const { path, header } of declared ?? []) {
      const value = textOf(path.reduce<Json | undefined>((at, key) => asObject(at)?.[key], params?.['arguments']));
      if (value !== undefined) headers[header] = encodeHeaderValue(value);
    }
    return headers;
  }
}

function declaredIn(schema: JsonObject | undefined, path: readonly string[]): readonly Declared[] {
  const properties = objectAt(schema, 'properties');
  if (properties === undefined || path.length >= MAX_DEPTH) return [];
  return Object.keys(properties).flatMap((key) => {
    const property = objectAt(properties, key);
    const name = property?.['x-mcp-header'];
    const own = [...path, key];
    const inner = declaredIn(property, own);
    return typeof name === 'string' && TOKEN.test(name)
      ? [{ path: own, header: `${PARAM_HEADER_PREFIX}${name.toLowerCase()}` }, ...inner]
      : inner;
  });
}

/** A header's name (RFC 9110, section 5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Strings as they are, numbers in decimal, booleans by name; anything else has no header. */
function textOf(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined;
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? undefined : String(value);
}
