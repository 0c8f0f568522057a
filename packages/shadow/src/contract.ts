import type { Clock, Handler, Log, Reply } from '@shadowcat/kernel';
import type { Call } from '@shadowcat/wire';
import type { Difference } from './compare.js';

/** The requests that can be asked twice and compared. */
export type MirroredMethod =
  | 'tools/call'
  | 'tools/list'
  | 'prompts/get'
  | 'prompts/list'
  | 'resources/read'
  | 'resources/list'
  | 'resources/templates/list'
  | 'completion/complete'
  | 'server/discover';

export interface MirrorOptions {
  /** Between 0 and 1: the share of what can be mirrored. */
  readonly share: number;
  readonly methods: readonly MirroredMethod[];
  /** Whether tools are called that do not say that they only read. Default false. */
  readonly effects?: boolean | undefined;
  /** JSON Pointers within the result; `*` is any one step. What they point at is not compared. */
  readonly ignore?: readonly string[] | undefined;
  /** Milliseconds that the shadow may take for one answer, and for opening a session. Default 30 s. */
  readonly timeoutMs?: number | undefined;
  /** Mirrored requests at the same time; those beyond are not mirrored. Default 50. */
  readonly maxInFlight?: number | undefined;
}

/** What is known of the tools of the mirrored server. */
export interface ToolMarks {
  /** Whether the tool says that it only reads. */
  readOnly(tool: string): boolean;
  /** Learns from the answer to a list as it passes; the answer itself stays as it is. */
  watch(call: Call, answer: Reply): Reply;
}

/**
 * `failed`: the shadow could not be asked, or did not answer; `timeout`: not in time; `skipped`: nothing to compare, see
 * {@link SkipReason}.
 */
export type MirrorOutcome = 'same' | 'different' | 'failed' | 'timeout' | 'skipped';

/**
 * `busy`: too many were in flight; `unanswered`: the mirrored server gave no answer to compare with; `cancelled`: by the client;
 * `asked`: the shadow wanted something of the client, which it cannot have; `too-large`: an answer of one of them.
 */
export type SkipReason = 'busy' | 'unanswered' | 'cancelled' | 'asked' | 'too-large';

/** What was asked, as far as it is told apart. */
export interface Subject {
  readonly method: string;
  /** The tool or prompt; empty for other methods. */
  readonly tool: string;
}

/** How one mirrored request ended. */
export interface Verdict extends Subject {
  readonly outcome: MirrorOutcome;
  readonly reason?: SkipReason;
  /** Empty unless `different`. */
  readonly differences: readonly Difference[];
}

export interface MirrorComponents {
  /** Answers for the shadow. */
  readonly shadow: Handler;
  readonly tools: ToolMarks;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 to 1, without 1. */
  readonly random: () => number;
  /** Told of each request that was to be mirrored, once. Must not throw. */
  readonly ended: (verdict: Verdict) => void;
}

export interface MirrorStats {
  readonly inFlight: number;
  /** Sessions that are open at the shadow. */
  readonly sessions: number;
}
