import {
  type Exchange,
  type Handler,
  headerOf,
  type Layer,
  ProxyError,
  type Reply,
  type RequestHead,
  withExchange,
  withHeaders,
} from '@shadowcat/kernel';
import { MODERN, VERSION_HEADER } from '@shadowcat/wire';
import { METHODS, preflight, readableBy } from './cors.js';
import { hostRule, LOOPBACK_HOSTS, quoted } from './hosts.js';
import { acceptsStream, BOTH_TYPES, contentProblem, notAcceptable, postAccept } from './media.js';
import { LOOPBACK_ORIGINS, originRule } from './origins.js';
import { type RescueComponents, rescue } from './rescue.js';

export interface EdgeOptions {
  /** The endpoint's paths, such as `/mcp`. A slash more at the end is the same path. */
  readonly paths: readonly string[];
  /** More of them, which are not named to who asks for another one. */
  readonly unlistedPaths?: readonly string[];
  /** Paths of documents that anybody may GET, whatever else they accept or send. */
  readonly documents?: readonly string[];
  /** Default {@link LOOPBACK_HOSTS}; see `hostRule`. */
  readonly allowedHosts?: readonly string[];
  /** Default {@link LOOPBACK_ORIGINS}; see `originRule`. */
  readonly allowedOrigins?: readonly string[];
}

/**
 * Refuses what can be refused by a request's head: foreign Host or Origin, wrong path, method, media type. It stands here
 * and not only at the upstream, because Host is rewritten on the way there and the upstream's own defence goes with it.
 * Answers the preflights of allowed origins, and lets their pages read replies, refusals included.
 */
export function edgeGuard(options: EdgeOptions, components: RescueComponents): Layer {
  const hostProblem = hostRule(options.allowedHosts ?? LOOPBACK_HOSTS);
  const originProblem = originRule(options.allowedOrigins ?? LOOPBACK_ORIGINS);
  const paths = new Set([...options.paths, ...(options.unlistedPaths ?? [])].map(withoutSlash));
  const listed = options.paths.join(' or ');
  const documents = new Set(options.documents);
  return (next) => {
    const direct = endpoint({ paths, listed, documents }, next);
    // A page only sees an error that says that it may: for pages the rescue happens inside of the headers that do.
    const forPages = rescue(components)(direct);
    return (exchange) => {
      const { headers } = exchange.head;
      const origin = headerOf(headers, 'origin');
      const problem = hostProblem(headers) ?? (origin === undefined ? undefined : originProblem(origin));
      if (problem !== undefined) return Promise.reject(problem);
      return origin === undefined ? direct(exchange) : readable(forPages, exchange, origin);
    };
  };
}

async function readable(handler: Handler, exchange: Exchange, origin: string): Promise<Reply> {
  if (exchange.head.method === 'OPTIONS') return preflight(exchange, origin);
  return readableBy(origin, await handler(exchange));
}

interface Served {
  readonly paths: ReadonlySet<string>;
  /** For people. */
  readonly listed: string;
  readonly documents: ReadonlySet<string>;
}

function endpoint({ paths, listed, documents }: Served, next: Handler): Handler {
  return (exchange) => {
    const { head } = exchange;
    const wrongPath = pathProblem({ paths, listed }, head.target);
    if (wrongPath !== undefined && isDocument(documents, head.target)) return document(next, exchange);
    const problem = wrongPath ?? methodProblem(head.method);
    if (problem !== undefined) return Promise.reject(problem);
    if (head.method === 'POST') return post(next, exchange);
    if (head.method === 'GET') return get(next, exchange);
    return head.method === 'OPTIONS' ? Promise.resolve(preflight(exchange, undefined)) : next(exchange);
  };
}

function document(next: Handler, exchange: Exchange): Promise<Reply> {
  const { method } = exchange.head;
  if (method === 'GET') return next(exchange);
  if (method === 'OPTIONS') return Promise.resolve(preflight(exchange, undefined));
  const options = { data: { allow: ['GET', 'OPTIONS'] } };
  return Promise.reject(new ProxyError('method_not_allowed', `a document takes GET, not ${quoted(method)}`, options));
}

function isDocument(documents: ReadonlySet<string>, target: string): boolean {
  if (documents.size === 0) return false;
  const [path = ''] = target.split('?', 1);
  return documents.has(path);
}

function post(next: Handler, exchange: Exchange): Promise<Reply> {
  const { head } = exchange;
  const problem = contentProblem(head.headers);
  if (problem !== undefined) return Promise.reject(problem);
  const accept = postAccept(headerOf(head.headers, 'accept'));
  if (accept === 'both') return next(exchange);
  if (accept === 'refused') return Promise.reject(notAcceptable('post'));
  return next(withExchange(exchange, { head: accepting(head, BOTH_TYPES) }));
}

function get(next: Handler, exchange: Exchange): Promise<Reply> {
  const { headers } = exchange.head;
  // In the modern revision GET is 405, whatever it accepts; that is decided where revisions are told apart.
  if (headers[VERSION_HEADER] === MODERN || acceptsStream(headerOf(headers, 'accept'))) return next(exchange);
  return Promise.reject(notAcceptable('stream'));
}

function accepting(head: RequestHead, accept: string): RequestHead {
  return { method: head.method, target: head.target, headers: withHeaders(head.headers, { accept }) };
}

function pathProblem({ paths, listed }: Pick<Served, 'paths' | 'listed'>, target: string): ProxyError | undefined {
  if (paths.has(target)) return undefined;
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  if (paths.has(withoutSlash(path))) return undefined;
  return new ProxyError('not_found', `nothing is served at ${quoted(path)}; the endpoint is ${listed}`);
}

function methodProblem(method: string): ProxyError | undefined {
  if (METHODS.includes(method)) return undefined;
  const message = `the endpoint takes ${METHODS.join(', ')}, not ${quoted(method)}`;
  return new ProxyError('method_not_allowed', message);
}

function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
