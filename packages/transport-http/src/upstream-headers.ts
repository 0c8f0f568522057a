import type { HeaderMap } from '@shadowcat/kernel';
import { hopByHop, SESSION_HEADER } from '@shadowcat/wire';

export interface HeaderRules {
  /** Added to each request, over what the client sent. Names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Whether the client's own `Authorization` goes to the upstream. Default: no. */
  readonly forwardAuthorization?: boolean | undefined;
  /** More of the client's header fields that go to the upstream. Names in lower case; `cookie` never goes. */
  readonly forwardHeaders?: readonly string[] | undefined;
}

/**
 * What the protocol and tracing need. Everything else stays here unless a rule names it: a field that a client meant for
 * the proxy, such as a key, is not the upstream's to see, and `Host` and `Origin` were judged at the edge.
 */
const FORWARDED: readonly string[] = [
  'accept',
  'content-type',
  'last-event-id',
  'traceparent',
  'tracestate',
  'user-agent',
  'x-request-id',
];

const NEVER: ReadonlySet<string> = new Set([
  'cookie',
  'host',
  'content-length',
  'expect',
  'accept-encoding',
  SESSION_HEADER,
]);

/** Makes the header fields of requests to one upstream, names and values in turn. */
export class UpstreamHeaders {
  readonly #forwarded: ReadonlySet<string>;
  readonly #fixed: readonly string[];

  constructor(rules: HeaderRules) {
    const fixed = Object.entries(rules.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const);
    const named = (rules.forwardHeaders ?? []).map((name) => name.toLowerCase());
    const forwarded = new Set([...FORWARDED, ...named]);
    if (rules.forwardAuthorization === true) forwarded.add('authorization');
    for (const name of [...NEVER, ...fixed.map(([name]) => name)]) forwarded.delete(name);
    this.#forwarded = forwarded;
    // A layer has to read what comes back: no compression.
    this.#fixed = ['accept-encoding', 'identity', ...fixed.flat()];
  }

  /** `changes` go over the client's own fields; a field set to `undefined` is left out. */
  from(client: HeaderMap, sessionId: string | undefined, changes: HeaderMap = NO_CHANGES): string[] {
    const { connection } = client;
    // A field that Connection names ends here (RFC 9110, 7.6.1).
    const plain = connection === undefined || connection === 'keep-alive' || connection === 'close';
    const headers = plain ? client : hopByHop(client);
    const fields: string[] = [...this.#fixed];
    for (const name in headers) {
      if (!this.#passes(name)) continue;
      push(fields, name, name in changes ? changes[name] : headers[name]);
    }
    for (const name in changes) if (!(name in headers)) push(fields, name, changes[name]);
    if (sessionId !== undefined) fields.push(SESSION_HEADER, sessionId);
    return fields;
  }

  #passes(name: string): boolean {
    return this.#forwarded.has(name) || (name.startsWith('mcp-') && name !== SESSION_HEADER);
  }
}

const NO_CHANGES: HeaderMap = {};

function push(fields: string[], name: string, value: HeaderMap[string]): void {
  if (value !== undefined) fields.push(name, typeof value === 'string' ? value : value.join(', '));
}
