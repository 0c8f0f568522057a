import type { Clock, Layer, Log } from '@shadowcat/kernel';
import {
  compose,
  type MetadataOrigin,
  protectedResource,
  protectedResourcePaths,
  tokenHint,
} from '@shadowcat/pipeline';
import type { AccessConfig } from './contract.js';

/** What logging in through the proxy needs of a configuration. */
export interface OAuthConfig {
  /** The endpoint's path. */
  readonly path: string;
  readonly access: AccessConfig;
  /** Whether the client's own `Authorization` goes to the upstream. */
  readonly forwardAuthorization: boolean;
}

/** What a listener serves so that clients can log in to the upstream. */
export interface OAuthPart {
  /** Paths of the documents, which the edge has to let through. */
  readonly documents: readonly string[];
  readonly layer: Layer;
}

/**
 * Where the proxy has a token of its own, `Authorization` is taken: a client that logged in elsewhere could not say both, so
 * nothing is offered there.
 */
export function oauthPart(
  { path, access, forwardAuthorization }: OAuthConfig,
  components: { readonly origins: readonly MetadataOrigin[]; readonly clock: Clock; readonly log: Log },
): OAuthPart {
  const hint = forwardAuthorization ? [] : [tokenHint(components)];
  if (access.token !== undefined || components.origins.length === 0) {
    return { documents: [], layer: compose(...hint) };
  }
  const options = { path, publicUrl: access.publicUrl, authorizationServer: forwardAuthorization };
  return {
    documents: protectedResourcePaths(options),
    layer: compose(protectedResource(options, components), ...hint),
  };
}
