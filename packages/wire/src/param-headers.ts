import { type HeaderMap, ProxyError } from '@shadowcat/kernel';
import { decodeHeaderValue, encodeHeaderValue } from './header-values.js';
import { asObject, objectAt } from './json-object.js';
import type { Json, JsonObject } from './jsonrpc.js';
import { PARAM_HEADER_PREFIX } from './protocol.js';

/** An argument of a tool that a modern request has to repeat in a header. */
interface Declared {
  readonly path: readonly string[];
  /** The header's name, in lower case. */
  readonly header: string;
}

/** How many tools with such arguments are remembered. */
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

  /** Whether a tool of this name has such arguments, as far as is known. */
  knows(tool: string | undefined): boolean {
    return tool !== undefined && this.#tools.has(tool);
  }

  /** The headers for a call with these `params`. */
  of(params: JsonObject | undefined): HeaderMap {
    const headers: Record<string, string> = {};
    for (const { path, header } of this.#declared(params)) {
      const value = textOf(argumentAt(params, path));
      if (value !== undefined) headers[header] = encodeHeaderValue(value);
    }
    return headers;
  }

  /**
   * `header_mismatch` where a header of a call with these `params` is missing, malformed or says something else. An argument
   * that is absent needs no header; what a header says about it does not count (2026-07-28, Streamable HTTP, "Server
   * Validation").
   */
  check(headers: HeaderMap, params: JsonObject | undefined): ProxyError | undefined {
    for (const { path, header } of this.#declared(params)) {
      const value = argumentAt(params, path);
      const text = textOf(value);
      if (text === undefined) continue;
      const field = headers[header];
      if (field === undefined) return mismatch(`the ${header} header is missing; the body has ${path.join('.')}`);
      const decoded = typeof field === 'string' ? decodeHeaderValue(field) : undefined;
      if (decoded === undefined) return mismatch(`${header} is not properly encoded`);
      const equal = typeof value === 'number' && DECIMAL.test(decoded) ? Number(decoded) === value : decoded === text;
      if (!equal) return mismatch(`${header} does not match ${path.join('.')} in the body`);
    }
    return undefined;
  }

  #declared(params: JsonObject | undefined): readonly Declared[] {
    return this.#tools.get(String(params?.['name'])) ?? [];
  }
}

function mismatch(what: string): ProxyError {
  return new ProxyError('header_mismatch', `Header mismatch: ${what}`);
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
/** Numbers are compared as such: 42 and 42.0 are equal. */
const DECIMAL = /^-?\d+(?:\.\d+)?$/;

function argumentAt(params: JsonObject | undefined, path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>((at, key) => asObject(at)?.[key], params?.['arguments']);
}

/** Strings as they are, numbers in decimal, booleans by name; anything else has no header. */
function textOf(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined;
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? undefined : String(value);
}
