import {
  Body,
  type Clock,
  type Exchange,
  headerOf,
  type Layer,
  type Log,
  opaqueFraming,
  ProxyError,
  type Reply,
  reply,
  withHeaders,
  withReply,
} from '@shadowcat/kernel';
import { spliceMessage, targetSlot } from '@shadowcat/wire';
import { rewriteChallenges } from './auth-challenge.js';
import { FreshDocuments } from './fresh-documents.js';
import { isResourceOf, type MetadataOrigin, wellKnown } from './metadata-origin.js';

export interface ProtectedResourceOptions {
  /** The endpoint's path at the proxy, such as `/mcp`. */
  readonly path: string;
  /** The endpoint as clients know it, where something else stands in front; without it their own `Host` is believed. */
  readonly publicUrl?: string | undefined;
  /** Whether the authorization server's documents are passed on as well, for clients of 2025-03-26. */
  readonly authorizationServer: boolean;
}

export interface ProtectedResourceComponents {
  /** In order of preference; the one that challenged last comes first. */
  readonly origins: readonly MetadataOrigin[];
  readonly clock: Clock;
  readonly log: Log;
}

const RESOURCE = 'oauth-protected-resource';
const SERVER_KINDS: readonly string[] = ['oauth-authorization-server', 'openid-configuration'];

/** The paths that {@link protectedResource} answers, for the edge guard. */
export function protectedResourcePaths({ path, publicUrl, authorizationServer }: ProtectedResourceOptions): string[] {
  const suffixes = new Set(['/', path, ...(publicUrl === undefined ? [] : [new URL(publicUrl).pathname])]);
  const kinds = [RESOURCE, ...(authorizationServer ? SERVER_KINDS : [])];
  return [...suffixes].flatMap((suffix) => kinds.map((kind) => wellKnown(kind, suffix)));
}

/**
 * Lets clients log in to the server behind the proxy. A client only believes metadata whose `resource` is the URL that it
 * used (RFC 9728, 3.3), so the server's own document is served with that one value changed, and `resource_metadata` in its
 * challenges leads here. What the server claims about a resource that is not its own stays as it is: the client refuses
 * it, as it would without a proxy. The authorization server's documents are passed on verbatim or not at all.
 */
export function protectedResource(options: ProtectedResourceOptions, components: ProtectedResourceComponents): Layer {
  const metadata = new Metadata(options, components);
  const paths = new Set(protectedResourcePaths(options));
  return (next) => (exchange) => {
    const { target } = exchange.head;
    if (target.startsWith('/.well-known/')) {
      const [path = ''] = target.split('?', 1);
      if (paths.has(path)) return metadata.serve(exchange, path);
    }
    return next(exchange).then((answer) =>
      answer.head.headers['www-authenticate'] === undefined ? answer : metadata.challenge(exchange, answer),
    );
  };
}

class Metadata {
  readonly #options: ProtectedResourceOptions;
  readonly #origins: readonly MetadataOrigin[];
  readonly #log: Log;
  readonly #documents: FreshDocuments;
  /** Where the last challenge of each server said that its metadata is: path and query. */
  readonly #named = new Map<string, string>();
  #lastChallenger: string | undefined;
  #warned = false;

  constructor(options: ProtectedResourceOptions, components: ProtectedResourceComponents) {
    this.#options = options;
    this.#origins = components.origins;
    this.#log = components.log;
    this.#documents = new FreshDocuments(components.clock);
  }

  /** The reply with challenges that lead to the metadata served here. */
  challenge(exchange: Exchange, answer: Reply): Reply {
    const endpoint = this.#endpoint(exchange);
    if (endpoint === undefined) return answer;
    const { status, headers } = answer.head;
    const given = headers['www-authenticate'] ?? [];
    const url = endpoint.origin + wellKnown(RESOURCE, endpoint.pathname);
    const rewritten = (typeof given === 'string' ? [given] : given).map((field) => rewriteChallenges(field, url));
    const named = rewritten.findLast((challenges) => challenges.named.length > 0)?.named.at(-1);
    if (named === undefined) return answer;
    this.#remember(exchange.context.get(targetSlot), named);
    const fields = rewritten.map(({ field }) => field);
    const challenges = typeof given === 'string' ? (fields[0] ?? given) : fields;
    return withReply(answer, { head: { status, headers: withHeaders(headers, { 'www-authenticate': challenges }) } });
  }

  async serve(exchange: Exchange, path: string): Promise<Reply> {
    for (const origin of this.#inOrder()) {
      const text = path.startsWith(`/.well-known/${RESOURCE}`)
        ? await this.#resource(origin, exchange)
        : await this.#first(origin, [this.#upstreamPath(origin, path)]);
      if (text !== undefined) return documentReply(text);
    }
    throw new ProxyError('not_found', `no server behind this proxy has a document for ${path}`);
  }

  /** The server's own metadata, about the URL that the client used. */
  async #resource(origin: MetadataOrigin, exchange: Exchange): Promise<string | undefined> {
    const named = this.#named.get(origin.name);
    const standard = [wellKnown(RESOURCE, new URL(origin.url).pathname), wellKnown(RESOURCE, '/')];
    const text = await this.#first(origin, [...new Set([...(named === undefined ? [] : [named]), ...standard])]);
    if (text === undefined) return undefined;
    const { resource } = JSON.parse(text) as { readonly resource?: unknown };
    const endpoint = this.#endpoint(exchange);
    if (typeof resource !== 'string' || endpoint === undefined) return text;
    if (isResourceOf(resource, origin.url)) {
      return spliceMessage(text, [{ path: ['resource'], json: JSON.stringify(endpoint.href) }]);
    }
    this.#warnOf(resource, origin);
    return text;
  }

  async #first(origin: MetadataOrigin, paths: readonly string[]): Promise<string | undefined> {
    for (const path of paths) {
      const text = await this.#documents.get(origin, path);
      if (text !== undefined) return text;
    }
    return undefined;
  }

  /** The same document at the server: a suffix, which is this endpoint's path, becomes the path of the server's. */
  #upstreamPath(origin: MetadataOrigin, path: string): string {
    const kind = SERVER_KINDS.find((name) => path.startsWith(`/.well-known/${name}`)) ?? '';
    return path === wellKnown(kind, '/') ? path : wellKnown(kind, new URL(origin.url).pathname);
  }

  #inOrder(): readonly MetadataOrigin[] {
    const last = this.#origins.find(({ name }) => name === this.#lastChallenger);
    return last === undefined ? this.#origins : [last, ...this.#origins.filter((origin) => origin !== last)];
  }

  /**
   * Only path and query: the server may know itself by another name than the proxy does, and what a server names must not
   * make the proxy ask somebody else.
   */
  #remember(target: string | undefined, named: string): void {
    const origin = this.#origins.find(({ name }) => name === target) ?? this.#origins[0];
    if (origin === undefined || !URL.canParse(named)) return;
    const { pathname, search } = new URL(named);
    this.#named.set(origin.name, pathname + search);
    this.#lastChallenger = origin.name;
  }

  /** The URL that the client used for the endpoint. */
  #endpoint({ head }: Exchange): URL | undefined {
    const { publicUrl, path } = this.#options;
    if (publicUrl !== undefined) return new URL(publicUrl);
    const url = `http://${headerOf(head.headers, 'host') ?? ''}${path}`;
    return URL.canParse(url) ? new URL(url) : undefined;
  }

  #warnOf(resource: string, origin: MetadataOrigin): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#log.warn(
      { target: origin.name, resource },
      'the metadata of the upstream is about another resource, so clients will not log in: use the URL that it names as --upstream',
    );
  }
}

const encoder = new TextEncoder();

function documentReply(text: string): Reply {
  const bytes = encoder.encode(text);
  const headers = {
    'content-type': 'application/json',
    'content-length': String(bytes.length),
    // It depends on the Host of the request.
    'cache-control': 'no-store',
  };
  return reply({ status: 200, headers }, Body.whole(bytes, opaqueFraming));
}
