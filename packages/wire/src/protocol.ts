/** Headers of Streamable HTTP, in lower case as in a `HeaderMap`. */
export const SESSION_HEADER = 'mcp-session-id';
export const VERSION_HEADER = 'mcp-protocol-version';
export const LAST_EVENT_ID = 'last-event-id';
/** Headers that repeat parts of a modern request's body (2026-07-28, Streamable HTTP, "Request metadata headers"). */
export const METHOD_HEADER = 'mcp-method';
export const NAME_HEADER = 'mcp-name';
export const PARAM_HEADER_PREFIX = 'mcp-param-';

/** The revision without sessions. */
export const MODERN = '2026-07-28';

/** The revisions that open with `initialize`, newest first. */
export const LEGACY_VERSIONS: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];

/** What a server assumes when a later legacy request names no revision (2025-06-18, Transports, "Protocol Version Header"). */
export const ASSUMED_VERSION = '2025-03-26';

/** The `_meta` key in which every modern request names its revision. */
export const META_VERSION = 'io.modelcontextprotocol/protocolVersion';

/** The `_meta` key that ties a modern notification to the `subscriptions/listen` request that it answers. */
export const META_SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

/** `_meta` keys of modern requests: who the client is, what it can answer, and from which level on it wants log messages. */
export const META_CLIENT_INFO = 'io.modelcontextprotocol/clientInfo';
export const META_CLIENT_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
export const META_LOG_LEVEL = 'io.modelcontextprotocol/logLevel';

/** The `_meta` key of modern results in which the server says who it is. */
export const META_SERVER_INFO = 'io.modelcontextprotocol/serverInfo';
