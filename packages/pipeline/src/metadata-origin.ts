/** A server whose OAuth documents are passed on. */
export interface MetadataOrigin {
  /** The target's name, as in `targetSlot`. */
  readonly name: string;
  /** Its endpoint, `http:` or `https:`. */
  readonly url: string;
  /**
   * Asks the server's origin, and no other, for the JSON document at `path` (path and query). `undefined` when it has none
   * there, or one that is too large. Rejects with a `ProxyError` when it does not answer in time.
   */
  document(path: string): Promise<Uint8Array | undefined>;
}

/**
 * Whether `resource` is what a client of `endpoint` may be told (RFC 9728, 3.3): the same origin, and the same path or one
 * above it. The names of this machine are one name.
 */
export function isResourceOf(resource: string, endpoint: string): boolean {
  if (!URL.canParse(resource)) return false;
  const [named, used] = [new URL(resource), new URL(endpoint)];
  if (originOf(named) !== originOf(used)) return false;
  return withSlash(used.pathname).startsWith(withSlash(named.pathname));
}

/** The well-known address of `kind` for a path: between origin and path (RFC 8615; RFC 9728, 3.1; RFC 8414, 3.1). */
export function wellKnown(kind: string, path: string): string {
  return `/.well-known/${kind}${path === '/' ? '' : path.replace(/\/$/, '')}`;
}

function originOf({ protocol, hostname, port }: URL): string {
  const host = LOOPBACK.has(hostname) ? 'localhost' : hostname;
  return `${protocol}//${host}:${port}`;
}

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

function withSlash(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}
