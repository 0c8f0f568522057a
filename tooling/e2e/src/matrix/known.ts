import type { ClientName } from './matrix-clients.js';
import type { ServerName } from './matrix-servers.js';
import { STEPS, type Step } from './visit.js';

/** What does not work, and why: each of these clients at each of these servers. Everything else has to work. */
interface Known {
  readonly clients: readonly ClientName[];
  readonly servers: readonly ServerName[];
  readonly where: 'through' | 'direct';
  readonly steps: readonly Step[];
  /** Whose doing it is, in a sentence of the page. */
  readonly reason: string;
}

const MODERN_CLIENTS: readonly ClientName[] = ['v2-pinned', 'inspector-modern'];
const LEGACY_CLIENTS: readonly ClientName[] = [
  'v1-http',
  'v1-sse',
  'v1-stdio',
  'v1-ws',
  'v2-legacy',
  'mcp-remote',
  'inspector-legacy',
];
const LEGACY_SERVERS: readonly ServerName[] = [
  'everything-http',
  'everything-sse',
  'everything-stdio',
  'filesystem',
  'memory',
  'fastmcp-http',
  'fastmcp-stdio',
  'supergateway-ws',
];
const MODERN_SERVERS: readonly ServerName[] = ['modern-http', 'modern-stdio'];

const NO_COMMON_REVISION = 'Client and server have no revision in common.';

const KNOWN: readonly Known[] = [
  {
    clients: MODERN_CLIENTS,
    servers: LEGACY_SERVERS,
    where: 'direct',
    steps: ['connect'],
    reason: NO_COMMON_REVISION,
  },
  {
    clients: LEGACY_CLIENTS,
    servers: MODERN_SERVERS,
    where: 'direct',
    steps: ['connect'],
    reason: NO_COMMON_REVISION,
  },
];

/** The steps of a cell that are known not to work, in their order, each with the reason. */
export function knownFailures(where: Known['where'], client: ClientName, server: ServerName): Map<Step, string> {
  const known = KNOWN.filter(
    (one) => one.where === where && one.clients.includes(client) && one.servers.includes(server),
  );
  const reasonOf = (step: Step): string | undefined => known.find(({ steps }) => steps.includes(step))?.reason;
  return new Map(STEPS.flatMap((step) => [[step, reasonOf(step)] as const]).filter(hasReason));
}

function hasReason(entry: readonly [Step, string | undefined]): entry is readonly [Step, string] {
  return entry[1] !== undefined;
}
