import { INSTRUMENTS, type Meter } from '@shadowcat/metrics';
import type { HttpUpstreamComponents } from '@shadowcat/transport-http';
import type { OnRecovery } from '@shadowcat/wire';
import type { Note } from './commands.js';

/** Takes what upstreams do to keep their clients from noticing a loss. */
export interface Recoveries {
  /** Counts a recovery, and writes it on the tapes of the sessions that it was about. */
  readonly recovered: OnRecovery;
  /** Counts a stream of a target that was interrupted. */
  readonly resumed: (target: string, outcome: Parameters<NonNullable<HttpUpstreamComponents['resumed']>>[0]) => void;
}

export function recoveries(components: { readonly meter: Meter; readonly note: Note | undefined }): Recoveries {
  const { meter, note } = components;
  return {
    recovered: ({ target, outcome, sessions, text }) => {
      meter.counter(INSTRUMENTS.sessionRecoveries, outcome, target)();
      for (const session of sessions) note?.(session, 'note', text);
    },
    resumed: (target, outcome) => meter.counter(INSTRUMENTS.streamResumptions, outcome, target)(),
  };
}
