import type { Clock, Log } from '@shadowcat/kernel';
import { type Adopts, type SessionLayer, sessionLayer } from '@shadowcat/session';
import { openStore, type Store } from '@shadowcat/store';
import { type ResumptionLayer, resumption } from '@shadowcat/transport-sse';
import type { SessionHandle } from '@shadowcat/wire';
import type { SessionsConfig } from './contract.js';
import type { Owned } from './owned.js';
import { randomName, unguessableId } from './system.js';

/** Opens the store, and the sessions that are kept in it. Rejects in plain words when the store cannot be used. */
export async function openSessions(
  config: SessionsConfig,
  components: {
    readonly clock: Clock;
    readonly log: Log;
    readonly owned: Owned;
    readonly adopts: Adopts | undefined;
    readonly expired: (session: SessionHandle) => void;
  },
): Promise<{ readonly store: Store; readonly sessions: SessionLayer }> {
  const { clock, log, owned, adopts, expired } = components;
  const store = await openStore(config.store, { clock, log });
  owned.add('the session store', () => store.close());
  const sessions = sessionLayer(
    { idleMs: config.idleMs, max: config.max, perCredential: config.maxPerCredential },
    { store, clock, log, newId: unguessableId, adopts, expired },
  );
  owned.add('the sessions', () => sessions.close());
  return { store, sessions };
}

/**
 * Keeps the event streams of sessions. To be opened after the upstreams, so that it is closed before them: what they say at
 * their own end is no part of any stream.
 */
export function openResumption(
  config: SessionsConfig['resume'],
  components: { readonly clock: Clock; readonly log: Log; readonly owned: Owned; readonly store: Store },
): ResumptionLayer {
  const { clock, log, owned, store } = components;
  const layer = resumption(config, { clock, log, newId: randomName, store: store.events });
  owned.add('the event log', () => layer.close());
  return layer;
}
