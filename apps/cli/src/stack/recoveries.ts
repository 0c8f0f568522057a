import { type Count, INSTRUMENTS, type Meter } from '@shadowcat/metrics';
import type { HttpUpstreamComponents } from '@shadowcat/transport-http';
import type { OnRecovery } from '@shadowcat/wire';
import type { Note } from './commands.js';

/** Takes what upstreams do to keep their clients from noticing a loss. */
export interface Recoveries {
  /** Counts a recovery, and writes it on the tapes of the sessions that it was about. */
  readonly recovered: OnRecovery;
  /** Counts a stream that was interrupted. */
  readonly resumed: NonNullable<HttpUpstreamComponents['resumed']>;
}

export function recoveries(components: { readonly meter: Meter; readonly note: Note | undefined }): Recoveries {
  const { meter, note } = components;
  const counts = new Map<string, Count>();
  const resumptions = {
    ok: meter.counter(INSTRUMENTS.streamResumptions, 'ok'),
    failed: meter.counter(INSTRUMENTS.streamResumptions, 'failed'),
    refused: meter.counter(INSTRUMENTS.streamResumptions, 'refused'),
  };
  return {
    recovered: ({ target, outcome, sessions, text }) => {
      const key = `${outcome} ${target}`;
      const count = counts.get(key) ?? meter.counter(INSTRUMENTS.sessionRecoveries, outcome, target);
      counts.set(key, count);
      count();
      for (const session of sessions) note?.(session, 'note', text);
    },
    resumed: (outcome) => resumptions[outcome](),
  };
}
