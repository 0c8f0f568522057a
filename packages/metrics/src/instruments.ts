/**
 * What Shadowcat measures, as data: names as Prometheus wants them (base units, `_total` for counters), one line of help,
 * labels whose values come from closed sets or from the configuration, never from clients.
 */
export interface CounterSpec {
  readonly kind: 'counter';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}
export interface GaugeSpec {
  readonly kind: 'gauge';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}
export interface HistogramSpec {
  readonly kind: 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds, in the unit of the name. */
  readonly buckets: readonly number[];
}
export type InstrumentSpec = CounterSpec | GaugeSpec | HistogramSpec;

/** From the proxy's own share of a small call to the longest tool that anybody waits for. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

function counter(name: string, help: string, labels: readonly string[] = []): CounterSpec {
  return { kind: 'counter', name: `shadowcat_${name}`, help, labels };
}
function gauge(name: string, help: string, labels: readonly string[] = []): GaugeSpec {
  return { kind: 'gauge', name: `shadowcat_${name}`, help, labels };
}
function histogram(name: string, help: string, labels: readonly string[]): HistogramSpec {
  return { kind: 'histogram', name: `shadowcat_${name}`, help, labels, buckets: SECONDS };
}

export const INSTRUMENTS = {
  requests: counter('requests_total', 'Exchanges that ended.', ['method', 'era', 'outcome']),
  errors: counter(
    'errors_total',
    'Exchanges that ended with an error of the proxy: refused, failed or given up, by its code.',
    ['code'],
  ),
  requestDuration: histogram('request_duration_seconds', 'From the request to the end of its reply.', [
    'method',
    'era',
    'outcome',
  ]),
  upstreamDuration: histogram(
    'upstream_duration_seconds',
    'From the question to an upstream to the head of its reply.',
    ['target', 'outcome'],
  ),
  inFlight: gauge('exchanges_in_flight', 'Exchanges that did not end yet, standing streams included.'),
  connections: gauge('connections_open', 'Connections of clients that are open.'),
  connectionsRefused: counter(
    'connections_refused_total',
    'Connections that were closed at once: there were too many.',
  ),
  malformed: counter(
    'requests_malformed_total',
    'Requests that were refused before they were exchanges: not HTTP, too late, or with too many or too large headers.',
  ),
  limit: gauge('limit', 'Bounds as they are configured, by their option.', ['option']),
  streams: gauge('streams_open', 'SSE streams to clients that are open.'),
  sessions: gauge('sessions', 'Sessions, by state.', ['state']),
  sessionsOpened: counter('sessions_opened_total', 'Sessions that were opened, or read back from the store.', ['how']),
  sessionsEnded: counter('sessions_ended_total', 'Sessions that ended.', ['reason']),
  sessionRecoveries: counter(
    'session_recoveries_total',
    'Upstream sessions that were lost: opened again (ok), not opened by the upstream (refused), or not reached (failed).',
    ['outcome', 'target'],
  ),
  streamResumptions: counter(
    'upstream_stream_resumptions_total',
    'Streams of upstreams that were interrupted: taken up again (ok), given up (failed), or refused by the upstream.',
    ['outcome', 'target'],
  ),
  pool: gauge('pool_resources', 'Leased things, by pool and state.', ['pool', 'state']),
  poolMax: gauge('pool_max', 'How many leased things there may be.', ['pool']),
  poolWaiting: gauge('pool_waiting', 'Exchanges that wait for a lease.', ['pool']),
  poolWait: histogram(
    'pool_wait_seconds',
    'How long exchanges waited that could not be given a lease at once, by how that ended.',
    ['pool', 'outcome'],
  ),
  poolEvents: counter(
    'pool_events_total',
    'What became of leased things and those who wanted one: opened, failed to open, reopened after a death, died or broken (spoiled), closed for their age or to make room (expired); refused.',
    ['pool', 'event'],
  ),
  children: gauge('children', 'Child processes that live.', ['target']),
  spareChildren: gauge('children_spare', 'Child processes that nobody has asked for yet.', ['target']),
  spawns: counter('spawns_total', 'Child processes that were started.', ['outcome', 'target']),
  childExits: counter('child_exits_total', 'Child processes that ended.', ['reason', 'target']),
  lateAnswers: counter('late_answers_total', 'Answers of upstreams that came too late, or for another request.', [
    'target',
  ]),
  homeless: counter(
    'messages_dropped_total',
    'Messages of upstreams, on lines, that belong to no request and had no open stream of a client to go to.',
    ['target'],
  ),
  slowClients: counter(
    'slow_clients_total',
    'Streams from upstreams on lines that were ended because their clients did not read them.',
    ['target'],
  ),
  bridgeQuestions: gauge('bridge_questions', 'Questions of servers that wait for clients of the other era.'),
  bridgeQuestionsLost: counter(
    'bridge_questions_lost_total',
    'Questions of servers that got no answer: too many waited (full), the client was too late (expired) or cannot be asked (incapable).',
    ['reason'],
  ),
  bridgeSessions: gauge('bridge_sessions', 'Legacy sessions that are open for modern clients.', ['target']),
  bridgeSessionsRefused: counter(
    'bridge_sessions_refused_total',
    'Requests of modern clients that found no room for a legacy session.',
    ['target'],
  ),
  targetUp: gauge('upstream_up', 'Whether a target takes part in balancing (1) or is ejected (0).', ['target']),
  targetInFlight: gauge(
    'upstream_in_flight',
    'Exchanges at a target that did not end yet, standing streams left out.',
    ['target'],
  ),
  targetWeight: gauge('upstream_weight', "A target's share of what is new, relative to the others'.", ['target']),
  targetEjections: counter('upstream_ejections_total', 'How often a target was ejected for its failures.', ['target']),
  breaker: gauge('upstream_breaker', 'The breaker of a target: 1 for the state that it is in, 0 for the others.', [
    'target',
    'state',
  ]),
  retries: counter('upstream_retries_total', 'Exchanges that were sent again, by the target that failed.', ['target']),
  retryRefused: counter('upstream_retries_refused_total', 'Repetitions and hedges that there was no budget for.'),
  retryBudget: gauge('upstream_retry_budget', 'Repetitions and hedges that the budget allows now.'),
  hedges: counter('upstream_hedges_total', 'Second attempts beside a first one, by the target that was slow.', [
    'target',
  ]),
  probes: counter('upstream_probes_total', 'Health checks of targets in the background.', ['target', 'outcome']),
  owedInFlight: gauge('requests_in_flight', 'Requests whose answers have not ended; what --max-in-flight bounds.'),
  refused: counter('requests_refused_total', 'Requests that were refused because too many were in flight.'),
  combinedPartial: counter(
    'combined_lists_partial_total',
    'Lists of a combined group that were answered without one of its members, or with what that said last.',
    ['group'],
  ),
  combinedMissing: gauge('combined_lists_missing', 'Lists that a member of a combined group could not give last.', [
    'group',
    'member',
  ]),
  combinedListeners: gauge('combined_listeners', 'Clients that listen for changes of a combined group.', ['group']),
  mirrored: counter(
    'mirror_requests_total',
    'Requests that were to be asked of a second server too: answered alike (same) or not (different), not answered by it (failed, timeout), nothing to compare (skipped).',
    ['outcome'],
  ),
  mirrorSkipped: counter(
    'mirror_skipped_total',
    'Mirrored requests with nothing to compare: too many in flight (busy), no answer of the first server (unanswered), cancelled, a question of the second one (asked), an answer that is too large (too-large).',
    ['reason'],
  ),
  mirrorDifferences: counter(
    'mirror_differences_total',
    'Places where the answers of two servers differ, by tool or prompt and JSON Pointer; * is a step into a list.',
    ['method', 'tool', 'pointer'],
  ),
  mirrorInFlight: gauge('mirror_in_flight', 'Mirrored requests that are not compared yet.'),
  mirrorSessions: gauge('mirror_sessions', 'Sessions that are open at the second server for clients.'),
  interceptorVerdicts: counter('interceptor_verdicts_total', 'Verdicts of interceptors.', ['interceptor', 'verdict']),
  recorderUp: gauge('recorder_up', 'Whether the recorder writes (1) or cannot (0).'),
  recorderRecords: counter('recorder_records_total', 'Records that were written to tapes.'),
  recorderDropped: counter('recorder_dropped_total', 'Records that could not be written to tapes.'),
  keptStreams: gauge('kept_streams', 'Streams that clients can come back to; detached: read on without one.', [
    'state',
  ]),
  keptEvents: gauge('kept_events', 'Events that are kept for clients that come back.'),
  keptBytes: gauge('kept_bytes', 'What they take up in memory, in bytes.'),
  keptEvicted: counter('kept_events_evicted_total', 'Events that had to make room before their time.'),
  resumptions: counter('resumptions_total', 'Streams that clients came back to, or came too late for.', ['outcome']),
  storeUp: gauge('store_up', 'Whether the session store could be written last (1) or not (0).'),
  storePending: gauge('store_pending', 'Sessions whose latest state is not in the session store yet.'),
  build: gauge('build_info', 'The version that runs; always 1.', ['version']),
} as const satisfies Readonly<Record<string, InstrumentSpec>>;
