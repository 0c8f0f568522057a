import type { Clock, Layer, Log } from '@shadowcat/kernel';
import { INSTRUMENTS, type MeasureLayer, type Meter } from '@shadowcat/metrics';
import { classifyLayer, compose, edgeGuard, type Interceptor, intercept, rescue } from '@shadowcat/pipeline';
import type { SessionLayer } from '@shadowcat/session';
import { identify } from './access.js';
import { type AdminSources, admin } from './admin.js';
import type { Subjects } from './adoption.js';
import type { AccessConfig, LimitsConfig } from './contract.js';
import { knownHosts, knownOrigins } from './edge.js';
import type { OAuthPart } from './oauth.js';

/** What the stack is made of; each part is opened and closed by whoever runs it. */
export interface StackParts {
  readonly meter: Meter;
  readonly measure: MeasureLayer;
  readonly sessions: SessionLayer;
  /** Keeps event streams; absent where nobody can come back for them. */
  readonly resumption?: Layer;
  /** Cuts connections where a replay wants it; absent elsewhere. */
  readonly cuts?: Layer;
  readonly interceptors: readonly Interceptor[];
  /** The recorder; absent when nothing is recorded. */
  readonly recorder: Layer | undefined;
  /** Keeps ids in flight on one session apart; absent where that is done further in. */
  readonly ids: Layer | undefined;
  /** Whom credentials name; absent where a session stays with the credential that opened it. */
  readonly subjects?: Subjects | undefined;
  readonly limits: LimitsConfig;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a listener on a network adds. */
export interface NetworkParts {
  /** The endpoint's path. */
  readonly path: string;
  /** More paths of it, which lead to certain upstreams. */
  readonly routePaths?: readonly string[] | undefined;
  /** Serves the legacy HTTP+SSE pair. */
  readonly pair: Layer;
  readonly access: AccessConfig;
  /** What is listened on. */
  readonly host: string;
  readonly admin: AdminSources;
  /** How clients log in to the upstream; absent where there is none. */
  readonly oauth?: OAuthPart | undefined;
}

/** The stack behind an HTTP listener, outermost first. The innermost handler comes from the caller. */
export function networkStack(parts: StackParts, network: NetworkParts): Layer {
  const { access } = network;
  return compose(
    // Outermost, so that whatever is thrown anywhere below becomes one well-formed answer.
    rescue({ log: parts.log, clock: parts.clock }),
    // Before everything that counts or refuses: probes and scrapers are no traffic, and send Host values and paths that
    // are none of the endpoint's business.
    admin(access.admin, network.admin),
    // Outside of everything that refuses, so that refusals are counted; inside of rescue, so that it sees the error itself.
    parts.measure,
    // Before a byte of the body is read: foreign pages and wrong paths cost next to nothing.
    edgeGuard(
      {
        paths: [network.path, ...PAIR_PATHS],
        // Who does not know them is not told.
        unlistedPaths: network.routePaths ?? [],
        documents: network.oauth?.documents ?? [],
        allowedHosts: knownHosts(network.host, access),
        allowedOrigins: knownOrigins(access.allowOrigins),
      },
      { log: parts.log },
    ),
    // Who has no token yet has to be able to read where to get one. Outside of sessions, whose answers it changes, and of
    // the tape, which holds what the upstream said itself.
    ...(network.oauth === undefined ? [] : [network.oauth.layer]),
    // Before the body as well: who has no token has no right to make us parse.
    identify(access.token, parts.subjects),
    // Each message of the legacy pair is an exchange of its own, on a line that was judged when it was opened.
    legacyPair(network.pair, parts, access),
    innerStack(parts, parts.resumption),
  );
}

/** Where clients of 2024-11-05 connect; they have to be told the address of the former only. */
const PAIR_PATHS: readonly string[] = ['/sse', '/message'];

/** Takes what is for the pair and lets its messages through as any line's; everything else passes. */
function legacyPair(pair: Layer, parts: StackParts, access: AccessConfig): Layer {
  return (inner) => {
    const lines = pair(outerLineStack(parts, access)(inner));
    return (exchange) => {
      const [path = ''] = exchange.head.target.split('?', 1);
      return PAIR_PATHS.includes(path) ? lines(exchange) : inner(exchange);
    };
  };
}

/** The stack behind a line: our own stdin and stdout, or, with `access`, a WebSocket whose handshake was judged already. */
export function lineStack(parts: StackParts, access?: AccessConfig): Layer {
  return compose(outerLineStack(parts, access), innerStack(parts));
}

function outerLineStack(parts: StackParts, access: AccessConfig | undefined): Layer {
  return compose(
    // No Host, Origin or path to guard on a line, and nobody to ask for health.
    rescue({ log: parts.log, clock: parts.clock }),
    parts.measure,
    // Each exchange of a line from the network has the credential that the line was opened with: its session is bound to it.
    ...(access === undefined ? [] : [identify(access.token)]),
  );
}

/** `resumption` is for clients that can come back: a line that breaks takes its session with it. */
function innerStack(parts: StackParts, resumption?: Layer): Layer {
  const { limits, clock, log, meter } = parts;
  const verdicts = INSTRUMENTS.interceptorVerdicts;
  return compose(
    // The one place where a body is read and parsed; everything inside works with the Call.
    classifyLayer({
      maxBody: limits.maxBody,
      batch: limits.maxBatch,
      depth: limits.maxJsonDepth,
      nodes: limits.maxJsonNodes,
    }),
    // After classify, because only legacy exchanges have sessions; before rules and tape, which want to know whose it is.
    parts.sessions,
    // Outside of what keeps streams: a client that was cut comes back for the rest.
    ...(parts.cuts === undefined ? [] : [parts.cuts]),
    // Just inside of sessions, so that what is kept and sent again is what the client was sent, after rules had their say.
    ...(resumption === undefined ? [] : [resumption]),
    // Inside of sessions, so that rules never see a request of a session that does not exist.
    intercept(
      parts.interceptors,
      {},
      { clock, log, onVerdict: (name, action) => meter.counter(verdicts, name, action)() },
    ),
    // Innermost of the judging layers: the tape holds what really left and what really came back.
    ...(parts.recorder === undefined ? [] : [parts.recorder]),
    // Right around the upstream: interceptors and the tape know requests by the ids that their clients gave them.
    ...(parts.ids === undefined ? [] : [parts.ids]),
  );
}
