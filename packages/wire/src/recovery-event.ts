/**
 * How the loss of an upstream session ended. `ok`: it was opened again; `refused`: the upstream would not open it;
 * `failed`: it could not be asked, or did not answer in time.
 */
export type RecoveryOutcome = 'ok' | 'failed' | 'refused';

/** An upstream session was lost and opened again, or could not be. */
export interface RecoveryEvent {
  /** The name of the target, as in the configuration. */
  readonly target: string;
  readonly outcome: RecoveryOutcome;
  /** Client-facing ids of the sessions that it was about; several where sessions share a line. */
  readonly sessions: readonly string[];
  /** One sentence for people. */
  readonly text: string;
}

/** Takes recoveries for metrics and tapes. May not throw. */
export type OnRecovery = (event: RecoveryEvent) => void;
