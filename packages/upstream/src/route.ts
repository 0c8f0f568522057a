import { type Exchange, headerOf } from '@shadowcat/kernel';
import { type Call, callSlot, credentialSlot } from '@shadowcat/wire';

/** What an exchange must have, all of it; what is left out does not matter. `*` stands for any characters. */
export interface RouteMatch {
  /** The path that the client uses, as it is. */
  readonly path?: string | undefined;
  /** Names in lower case, and patterns of their values. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Patterns of the JSON-RPC method. */
  readonly methods?: readonly string[] | undefined;
  /** Patterns of the tool's name; nothing but `tools/call` matches then. */
  readonly tools?: readonly string[] | undefined;
  /** Fingerprints of the client's credential, as in `credentialSlot`. */
  readonly credentials?: readonly string[] | undefined;
}

export type RouteTest = (exchange: Exchange) => boolean;

/**
 * Whether an exchange is one of these. A batch has no one method or tool: only a rule that asks for neither takes it, and its
 * messages stay together.
 */
export function routeTest(match: RouteMatch): RouteTest {
  const tests: RouteTest[] = [];
  const { path, headers = {}, methods, tools, credentials } = match;
  if (path !== undefined) tests.push(({ head }) => pathOf(head.target) === path);
  for (const [name, value] of Object.entries(headers)) {
    const fits = pattern(value);
    tests.push(({ head }) => fits(headerOf(head.headers, name)));
  }
  if (credentials !== undefined) {
    const known = new Set(credentials);
    tests.push(({ context }) => known.has(context.get(credentialSlot) ?? ''));
  }
  if (methods !== undefined) tests.push(ofCall(methods, ({ method }) => method));
  if (tools !== undefined) {
    tests.push(ofCall(tools, ({ method, target }) => (method === 'tools/call' ? target : undefined)));
  }
  return (exchange) => tests.every((test) => test(exchange));
}

function ofCall(patterns: readonly string[], pick: (call: Call) => string | undefined): RouteTest {
  const fit = patterns.map(pattern);
  return ({ context }) => {
    const call = context.get(callSlot);
    if (call === undefined || call.batch) return false;
    const text = pick(call);
    return fit.some((fits) => fits(text));
  };
}

function pattern(text: string): (value: string | undefined) => boolean {
  if (!text.includes('*')) return (value) => value === text;
  const parts = text.split('*');
  return (value) => value !== undefined && matches(value, parts);
}

/** Each part after the one before; in linear time, since patterns meet what clients send. */
function matches(value: string, parts: readonly string[]): boolean {
  const first = parts[0] ?? '';
  const last = parts.at(-1) ?? '';
  if (!value.startsWith(first) || value.length < first.length + last.length || !value.endsWith(last)) return false;
  const end = value.length - last.length;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = value.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** Without the query, and without a slash more at the end. */
function pathOf(target: string): string {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
