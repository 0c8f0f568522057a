import { type HeaderMap, ProxyError, type RequestHead } from '@shadowcat/kernel';
import type { Call } from './call.js';
import { claimedVersion, targetOf } from './classify.js';
import { decodeHeaderValue, encodeHeaderValue, withoutSpace } from './header-values.js';
import type { Message } from './jsonrpc.js';
import { METHOD_HEADER, NAME_HEADER, VERSION_HEADER } from './protocol.js';

/** Methods whose requests must carry `Mcp-Name` (2026-07-28, Streamable HTTP, "Standard Request Headers"). */
const NAMED: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);
/** The tasks extension asks for it too; present ones are compared, absent ones are the upstream's to judge. */
const MAY_BE_NAMED: ReadonlySet<string> = new Set(['tasks/get', 'tasks/update', 'tasks/cancel']);

/**
 * Whether the headers of a modern POST agree with its body: `header_mismatch` where they do not, or where a required one is
 * missing; `invalid_request` for a batch, which no modern revision has. A missing or malformed `_meta` and an unknown
 * revision are the upstream's to answer (-32602, -32022), unknown `Mcp-Param-*` headers pass, and notifications need no
 * headers (2026-07-28, Streamable HTTP, "Server Validation"). Legacy calls: always `undefined`.
 */
export function checkModernHeaders(head: RequestHead, call: Call): ProxyError | undefined {
  const { message } = call;
  if (call.era !== 'modern' || call.verb !== 'post' || message === undefined) return undefined;
  if (call.batch)
    return new ProxyError('invalid_request', 'this revision of MCP has no JSON-RPC batches: send one message a POST');
  const claim = claimedVersion(message);
  // Without a claim the envelope is broken, and saying so is the server's part.
  const required = message.kind === 'request' && claim !== undefined;
  return (
    compare(head, VERSION_HEADER, { value: claim, required }) ??
    compare(head, METHOD_HEADER, { value: message.method, required }) ??
    checkName(head, message, required)
  );
}

interface Expected {
  /** What the body says. */
  readonly value: string | undefined;
  readonly required: boolean;
}

function compare(head: RequestHead, name: string, expected: Expected): ProxyError | undefined {
  const { value } = expected;
  const header = head.headers[name];
  if (value === undefined) return undefined;
  if (header === undefined) return expected.required ? missing(name, value) : undefined;
  return typeof header === 'string' && withoutSpace(header) === value ? undefined : mismatch(name, header, value);
}

function checkName(head: RequestHead, message: Message, required: boolean): ProxyError | undefined {
  const method = message.method ?? '';
  const needed = NAMED.has(method);
  if (!needed && !MAY_BE_NAMED.has(method)) return undefined;
  const value = targetOf(message);
  const header = head.headers[NAME_HEADER];
  if (header === undefined) return needed && required && value !== undefined ? missing(NAME_HEADER, value) : undefined;
  const decoded = typeof header === 'string' ? decodeHeaderValue(header) : undefined;
  if (decoded === undefined) {
    return new ProxyError('header_mismatch', `Header mismatch: ${TITLES[NAME_HEADER]} is not properly encoded`);
  }
  return value === undefined || decoded === value ? undefined : mismatch(NAME_HEADER, decoded, value);
}

const TITLES: Readonly<Record<string, string>> = {
  [VERSION_HEADER]: 'MCP-Protocol-Version',
  [METHOD_HEADER]: 'Mcp-Method',
  [NAME_HEADER]: 'Mcp-Name',
};

function missing(name: string, value: string): ProxyError {
  const title = TITLES[name] ?? name;
  return new ProxyError(
    'header_mismatch',
    `Header mismatch: the ${title} header is missing; the body says ${quoted(value)}`,
  );
}

function mismatch(name: string, header: string | readonly string[], value: string): ProxyError {
  const title = TITLES[name] ?? name;
  const got = quoted(typeof header === 'string' ? header : header.join(', '));
  return new ProxyError(
    'header_mismatch',
    `Header mismatch: ${title} header value ${got} does not match body value ${quoted(value)}`,
  );
}

function quoted(value: string): string {
  return `'${value.length > 100 ? `${value.slice(0, 100)}…` : value}'`;
}

/**
 * The headers that repeat a modern message's body, for a message that a layer has changed or that is sent anew: revision,
 * `Mcp-Method` and `Mcp-Name`. Set with `withHeaders`, so that an outdated `mcp-name` goes away.
 */
export function modernHeaders(message: Message): HeaderMap {
  const method = message.method ?? '';
  const name = NAMED.has(method) || MAY_BE_NAMED.has(method) ? targetOf(message) : undefined;
  return {
    [VERSION_HEADER]: claimedVersion(message),
    [METHOD_HEADER]: message.method,
    [NAME_HEADER]: name === undefined ? undefined : encodeHeaderValue(name),
  };
}
