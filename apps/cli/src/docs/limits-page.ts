import type { ErrorCode } from '@shadowcat/kernel';
import { INSTRUMENTS } from '@shadowcat/metrics';
import { REPLIES } from '@shadowcat/wire';
import { type OptionName, specOf } from '../options/table.js';

/** One thing that is bounded: by an option, or for good. */
export interface Bound {
  readonly what: string;
  /** The option that sets it, or its value where nothing does. */
  readonly by: OptionName | { readonly fixed: string };
  /** What shows how much of it is used, or how often it was reached. */
  readonly metrics: readonly (keyof typeof INSTRUMENTS)[];
  /** What a request gets that does not fit. */
  readonly code?: ErrorCode;
  /** The status where it is not the one of `code`. */
  readonly status?: number;
  /** What happens besides, or instead. */
  readonly effect?: string;
}

const HEADERS_TOO_LARGE = { metrics: ['malformed'], code: 'invalid_request', status: 431 } as const;
const INVALID = { metrics: ['errors'], code: 'invalid_request' } as const;
const EVICTED = 'the oldest events go; the error is for who comes back for them';

/** Everything that is bounded, from the client inwards. */
export const BOUNDS: readonly Bound[] = [
  {
    what: 'Connections of clients',
    by: 'max-connections',
    metrics: ['connections', 'connectionsRefused', 'limit'],
    effect: 'the connection is closed at once',
  },
  { what: 'WebSockets of clients', by: { fixed: '1000' }, metrics: ['connections'], effect: 'the upgrade gets 503' },
  { what: 'Headers of a request', by: 'max-header-size', ...HEADERS_TOO_LARGE },
  { what: 'Header fields of a request', by: 'max-headers', ...HEADERS_TOO_LARGE },
  {
    what: 'Time for the headers of a request',
    by: 'headers-timeout',
    metrics: ['malformed'],
    code: 'invalid_request',
    status: 408,
  },
  {
    what: 'Time for a whole request',
    by: 'request-timeout',
    metrics: ['malformed'],
    code: 'invalid_request',
    status: 408,
  },
  { what: 'Body of a request', by: 'max-body', metrics: ['errors'], code: 'body_too_large' },
  { what: 'Messages in a batch', by: 'max-batch', ...INVALID },
  { what: 'Nesting of a message', by: 'max-json-depth', ...INVALID },
  { what: 'Values in a message', by: 'max-json-nodes', ...INVALID },
  {
    what: 'Messages of one line that wait to be taken up',
    by: { fixed: '10,000, or 16 MiB' },
    metrics: ['errors'],
    code: 'rate_limited',
  },
  {
    what: 'Sessions',
    by: 'max-sessions',
    metrics: ['sessions', 'sessionsEnded', 'errors', 'limit'],
    code: 'session_limit',
    effect: 'first the session that was idle for longest is ended',
  },
  {
    what: 'Sessions of one credential',
    by: 'max-sessions-per-credential',
    metrics: ['sessionsEnded', 'errors', 'limit'],
    code: 'session_limit',
    effect: 'first its session that was idle for longest is ended',
  },
  {
    what: 'Time that a session is idle',
    by: 'session-idle',
    metrics: ['sessionsEnded'],
    code: 'session_not_found',
    effect: 'clients open a new one',
  },
  {
    what: 'Requests in flight',
    by: 'max-in-flight',
    metrics: ['owedInFlight', 'refused', 'limit'],
    code: 'pool_exhausted',
  },
  {
    what: 'Events kept for a session',
    by: 'resume-events',
    metrics: ['keptEvents', 'keptEvicted', 'resumptions'],
    code: 'events_expired',
    effect: EVICTED,
  },
  {
    what: 'Bytes of events kept for a session',
    by: 'resume-bytes',
    metrics: ['keptBytes', 'keptEvicted', 'resumptions'],
    code: 'events_expired',
    effect: EVICTED,
  },
  {
    what: 'Bytes of events kept for all sessions',
    by: 'resume-total',
    metrics: ['keptBytes', 'keptEvicted', 'limit'],
    code: 'events_expired',
    effect: EVICTED,
  },
  {
    what: 'What waits to be sent on one stream',
    by: 'max-stream-queue',
    metrics: ['slowClients', 'errors'],
    code: 'slow_client',
    effect: 'the stream ends; HTTP upstreams are read at the pace of the client instead',
  },
  {
    what: 'Sessions that wait to be written to the store',
    by: { fixed: '50,000' },
    metrics: ['storePending', 'storeUp'],
    effect: 'the oldest write is given up and logged: that session is lost with the process',
  },
  {
    what: 'What waits to be written to a tape',
    by: { fixed: '1 MiB, and 16 times that for stderr' },
    metrics: ['recorderUp', 'recorderDropped', 'errors'],
    code: 'recorder_failed',
    effect:
      'the exchange waits, or records are left out with `record-overflow`; 16 MiB for all tapes while none can be written. What does not fit is marked by a `gap`. The error only with `record-required`',
  },
  {
    what: 'Files of tapes that are open',
    by: { fixed: '512' },
    metrics: ['recorderUp'],
    effect: 'others are opened again for what comes',
  },
  {
    what: 'Children, or lines to WebSocket and legacy SSE servers, of an upstream',
    by: 'max-children',
    metrics: ['pool', 'poolMax', 'children', 'poolWait'],
    code: 'pool_exhausted',
    effect: 'first the request waits, and the child that nobody has needed for longest makes room',
  },
  {
    what: 'Children for one credential',
    by: 'max-children-per-credential',
    metrics: ['poolWait', 'poolEvents'],
    code: 'pool_exhausted',
    effect: 'first the request waits',
  },
  {
    what: 'Requests that wait for a child of an upstream',
    by: 'max-queue',
    metrics: ['poolWaiting', 'poolEvents', 'limit'],
    code: 'pool_exhausted',
  },
  {
    what: 'Time that one waits for a child',
    by: 'queue-timeout',
    metrics: ['poolWait', 'poolEvents'],
    code: 'pool_exhausted',
  },
  {
    what: 'Age of a child',
    by: 'max-child-age',
    metrics: ['poolEvents'],
    effect: 'it is replaced when nobody uses it',
  },
  {
    what: 'A message of a child',
    by: 'max-line',
    metrics: ['errors', 'childExits'],
    code: 'upstream_protocol',
    effect: 'the child is ended',
  },
  { what: 'Requests in flight on one line', by: { fixed: '1000' }, metrics: ['errors'], code: 'pool_exhausted' },
  {
    what: 'What waits for a child that does not read',
    by: { fixed: '16 MiB' },
    metrics: ['errors'],
    code: 'pool_exhausted',
  },
  {
    what: 'Messages of a line that wait for a stream of their client',
    by: { fixed: '100, or 1 MiB' },
    metrics: ['homeless'],
    effect: 'the oldest are dropped',
  },
  {
    what: 'Time to connect to an upstream',
    by: 'connect-timeout',
    metrics: ['errors', 'upstreamDuration'],
    code: 'upstream_unreachable',
  },
  {
    what: 'Time to the first byte of an answer',
    by: 'first-byte-timeout',
    metrics: ['errors', 'upstreamDuration'],
    code: 'upstream_timeout',
  },
  { what: 'Silence within an answer', by: 'idle-timeout', metrics: ['errors'], code: 'upstream_timeout' },
  {
    what: 'Time for a request in all',
    by: 'total-timeout',
    metrics: ['errors', 'requestDuration'],
    code: 'upstream_timeout',
  },
  {
    what: 'A JSON answer of an upstream that is looked into',
    by: { fixed: '32 MiB' },
    metrics: ['errors'],
    code: 'upstream_protocol',
  },
  {
    what: 'Failures of an upstream in a row',
    by: 'breaker-failures',
    metrics: ['breaker', 'targetEjections', 'errors'],
    code: 'upstream_unavailable',
    effect: 'the others get its share; the error when there is no other',
  },
  {
    what: 'Share of a group that may be kept out',
    by: 'max-ejection',
    metrics: ['targetUp', 'breaker'],
    effect: 'the next one that fails goes on getting exchanges',
  },
  {
    what: 'How often a request is sent',
    by: 'retry-attempts',
    metrics: ['retries'],
    effect: 'the client gets the last failure',
  },
  {
    what: 'Repetitions as a share of requests',
    by: 'retry-budget',
    metrics: ['retryBudget', 'retryRefused', 'hedges'],
    effect: 'the client gets the failure at once',
  },
  {
    what: 'Time that lists wait for a member of a combined group',
    by: 'list-timeout',
    metrics: ['combinedPartial', 'combinedMissing'],
    effect: 'the list comes without it, and `list_changed` when it is back',
  },
  {
    what: 'Mirrored requests in flight',
    by: { fixed: '50, or `max-in-flight` of [`mirror`](configuration.md#mirror)' },
    metrics: ['mirrorInFlight', 'mirrorSkipped'],
    effect: 'the request is not mirrored; its client has its answer',
  },
  {
    what: 'Time that the second server may take for a mirrored request',
    by: { fixed: '30s, or `timeout` of [`mirror`](configuration.md#mirror)' },
    metrics: ['mirrored'],
    effect: 'it is cancelled there, and nothing is compared',
  },
  {
    what: 'An answer that is compared',
    by: { fixed: '1 MiB' },
    metrics: ['mirrorSkipped'],
    effect: 'a larger one is not compared',
  },
  {
    what: 'Findings of a mirror',
    by: { fixed: '50 of one answer, 10,000 told apart, a file of 8 MiB' },
    metrics: ['mirrorDifferences'],
    effect: 'those beyond are counted as `(other)`, and the file is added up',
  },
  {
    what: 'Questions of servers that wait for clients of the other era',
    by: 'max-bridge-questions',
    metrics: ['bridgeQuestions', 'bridgeQuestionsLost', 'limit'],
    code: 'pool_exhausted',
    effect: 'the server gets the error',
  },
  {
    what: 'Time that such a question waits',
    by: 'bridge-hold',
    metrics: ['bridgeQuestionsLost'],
    effect: 'its call is cancelled',
  },
  {
    what: 'Legacy sessions for modern clients at an upstream',
    by: 'max-bridge-sessions',
    metrics: ['bridgeSessions', 'bridgeSessionsRefused', 'limit'],
    code: 'session_limit',
  },
  {
    what: 'Mirrored requests that wait for the second server',
    by: { fixed: '50' },
    metrics: ['mirrorInFlight', 'mirrorSkipped'],
    effect: 'the next ones are not mirrored; clients notice nothing',
  },
  {
    what: 'Time that a shutdown waits',
    by: 'drain-timeout',
    metrics: ['inFlight'],
    code: 'draining',
    effect: 'what is left is cut short',
  },
];

const HEAD = `# Limits

<!-- Generated from apps/cli/src/docs/limits-page.ts: \`pnpm --filter shadowcat generate\`. -->

Whatever clients and servers do, memory, descriptors, queues, sessions and children stay within bounds. This is the list of them:
what sets each, which [metrics](metrics.md) show it, and what a request gets that does not fit. Errors are JSON-RPC errors with
the code of the proxy in the log and in \`shadowcat_errors_total{code}\`; 503 and 429 come with \`Retry-After\`. Refusals come
at once: nothing waits that has no place to wait in.

`;

/** docs/limits.md. */
export function limitsPage(): string {
  const rows = BOUNDS.map((bound) => `| ${[bound.what, ...cellsOf(bound)].join(' | ')} |`);
  return `${HEAD}| what | set by | default | metrics | error | what happens |\n|---|---|---|---|---|---|\n${rows.join('\n')}\n`;
}

function cellsOf({ by, metrics, code, status, effect = '' }: Bound): string[] {
  const [set, value] =
    typeof by === 'string' ? [`[\`${by}\`](configuration.md#${by})`, `\`${specOf(by)?.fallback}\``] : ['', by.fixed];
  const shown = metrics.map((key) => `[\`${INSTRUMENTS[key].name}\`](metrics.md#${INSTRUMENTS[key].name})`);
  const error = code === undefined ? '' : `\`${code}\`, ${status ?? REPLIES[code].status}`;
  return [set, value, shown.join(', '), error, effect];
}
