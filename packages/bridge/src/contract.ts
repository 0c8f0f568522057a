import type { Clock, Handler, Log } from '@shadowcat/kernel';

/** What both directions of the bridge work with. */
export interface BridgeComponents {
  /** One target's handler, as it is without a bridge. */
  readonly upstream: Handler;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes an unguessable id of visible ASCII. */
  readonly newId: () => string;
  /** 0 to 1, to spread what is tried again. Default `Math.random`. */
  readonly random?: () => number;
  /** Another target of the same proxy that speaks the modern revision, if there is one. */
  readonly modernSibling?: () => Handler | undefined;
}

export interface BridgeOptions {
  /** The target's name, for messages. */
  readonly target: string;
  /** Sessions that are open at the target for modern clients at the same time. Default 10,000. */
  readonly maxSessions?: number | undefined;
  /** How long an upstream session that the bridge opened may be unused, in milliseconds. Default 5 minutes. */
  readonly idleMs?: number | undefined;
  /**
   * When the standing streams of those sessions are open: as long as the session is (default), or only while it is used, for
   * targets where a stream keeps from others what they need, such as a place for a child. What is said meanwhile waits there.
   */
  readonly standing?: 'always' | 'in-use' | undefined;
  /** Milliseconds that the target may take for what the bridge itself asks. Default 60 s; 0: as long as it likes. */
  readonly answerMs?: number | undefined;
}
