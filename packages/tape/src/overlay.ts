import { leadsTo, type Pointer } from './pointer.js';

/** How a request was matched, strictest first. Each rung includes those before it. */
export const RUNGS = ['exact', 'bound', 'normalised', 'rule'] as const;
/**
 * `exact`: the same parameters. `bound`: equal when the values that the client or the overlay chose anew stand for the
 * recorded ones. `normalised`: equal but for values of a kind (uuid, …). `rule`: equal but for places that are ignored.
 */
export type Rung = (typeof RUNGS)[number];

/** Kinds of values that differ between two runs and mean the same. */
export const NORMALISERS = ['uuid', 'timestamp', 'temporary-path'] as const;
export type Normaliser = (typeof NORMALISERS)[number];

/** What goes wrong on purpose. */
export const FAULTS = [
  'error',
  'hang',
  'malformed',
  'disconnect',
  'close',
  'drop',
  'reorder',
  'lost-session',
  'rate-limit',
] as const;
export type Fault = (typeof FAULTS)[number];

/** Which requests a rule is for. What is absent fits all. */
export interface Selector {
  readonly method?: string;
  /** Tool or prompt name, resource URI, completion reference. */
  readonly target?: string;
}

interface Rule extends Selector {
  /** Where the rule stands, for messages: `x.overlay.yaml:3:5`. */
  readonly where: string;
}

/** Places in the parameters of a request (`/arguments/path`), or, with `/result` or `/error` in front, in its answer. */
export interface PlacesRule extends Rule {
  readonly at: readonly Pointer[];
}

/** Without `at`: all strings of the parameters. */
export interface NormaliseRule extends Rule {
  readonly as: Normaliser;
  readonly at?: readonly Pointer[];
}

/** Puts another value into what the server sent: `/result/…`, `/error/…` of the answer, `/params/…` of the rest. */
export interface ReplaceRule extends Rule {
  readonly at: Pointer;
  /** JSON text. */
  readonly json: string;
}

/** Answers requests that the tapes have no answer for. */
export interface AnswerRule extends Rule {
  readonly method: string;
  /** JSON text of the result. */
  readonly json: string;
}

export interface LatencyRule extends Rule {
  /** Milliseconds before the first message of the answer. */
  readonly ms: number;
  /** So many more at most, seeded. */
  readonly jitterMs: number;
}

export interface FaultRule extends Rule {
  readonly fault: Fault;
  /** The how-manieth requests it is for, from 1; absent: each. */
  readonly nth?: readonly number[];
  /** 0 to 1; absent: 1. Seeded, so that it comes out the same each time. */
  readonly probability?: number;
  /** Of `disconnect`, `close`: before which event; of `drop`, `reorder`: which one. From 1. */
  readonly event: number;
  /** Of `error`: the JSON-RPC error. */
  readonly code?: number;
  readonly message?: string;
  /** Of `rate-limit` and `close`: milliseconds until the client may come back. */
  readonly retryMs?: number;
}

/** How often something has to be asked for. */
export interface ExpectRule extends Rule {
  readonly min: number;
  readonly max: number;
}

/** What a test changes about a tape, which is never edited itself. */
export interface Overlay {
  /** Decides what is left to chance; absent: 1. */
  readonly seed?: number;
  readonly ignore: readonly PlacesRule[];
  readonly normalise: readonly NormaliseRule[];
  readonly bind: readonly PlacesRule[];
  readonly replace: readonly ReplaceRule[];
  readonly answer: readonly AnswerRule[];
  readonly latency: readonly LatencyRule[];
  readonly faults: readonly FaultRule[];
  readonly expect: readonly ExpectRule[];
}

export const NO_OVERLAY: Overlay = {
  ignore: [],
  normalise: [],
  bind: [],
  replace: [],
  answer: [],
  latency: [],
  faults: [],
  expect: [],
};

/** Several overlays as one; the seed is that of the last one that names any. */
export function mergeOverlays(overlays: readonly Overlay[]): Overlay {
  const seed = overlays.findLast((one) => one.seed !== undefined)?.seed;
  return {
    ...(seed === undefined ? {} : { seed }),
    ignore: overlays.flatMap(({ ignore }) => ignore),
    normalise: overlays.flatMap(({ normalise }) => normalise),
    bind: overlays.flatMap(({ bind }) => bind),
    replace: overlays.flatMap(({ replace }) => replace),
    answer: overlays.flatMap(({ answer }) => answer),
    latency: overlays.flatMap(({ latency }) => latency),
    faults: overlays.flatMap(({ faults }) => faults),
    expect: overlays.flatMap(({ expect }) => expect),
  };
}

/** Whether a rule is for this request. */
export function isFor(
  rule: Selector,
  request: { readonly method: string; readonly target: string | undefined },
): boolean {
  if (rule.method !== undefined && rule.method !== request.method) return false;
  return rule.target === undefined || rule.target === request.target;
}

/** Whether an overlay leaves out all that a server says or asks with this method of its own accord: it ignores `/params`. */
export function isLeftOut({ ignore }: Overlay, method: string | undefined): boolean {
  return ignore.some((rule) => rule.method === method && rule.at.some((at) => leadsTo(at, ['params'])));
}

/** A rule in a few words, for messages. */
export function selectorText({ method, target }: Selector): string {
  return [method ?? 'every request', ...(target === undefined ? [] : [target])].join(' ');
}
