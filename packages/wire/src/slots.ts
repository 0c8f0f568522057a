import { type ProxyError, slot } from '@shadowcat/kernel';
import type { Call } from './call.js';
import type { SessionHandle } from './session-handle.js';

/** What the exchange asks for; set by the classify layer, read by everything inside it. */
export const callSlot = slot<Call>('call');

/** The client's session; set by the session layer for legacy exchanges that have one. */
export const sessionSlot = slot<SessionHandle>('session');

/**
 * The legacy session that a modern exchange is made for, where a layer speaks modern on a legacy client's behalf; whoever keeps
 * state for modern clients keeps one for each of these.
 */
export const conversationSlot = slot<SessionHandle>('conversation');

/**
 * Set on an exchange that only finds out whether the upstream takes it: a session that seems to be lost is not opened again
 * for it.
 */
export const trialSlot = slot<true>('trial');

/** The name of the upstream target that was chosen; set by the upstream room, read by metrics, log and tape. */
export const targetSlot = slot<string>('target');

/**
 * The error an exchange ended with, when it did; read by metrics, log and tape. Set by the rescue layer, and by whoever puts it into
 * a reply as a message: before that message.
 */
export const failureSlot = slot<ProxyError>('failure');

/** Bytes hashed from the client's credential, or the empty string for anonymous; set by the edge, never logged. */
export const credentialSlot = slot<string>('credential');

/** The network address of whoever sent the exchange; set by listeners, absent on lines of our own. */
export const peerSlot = slot<string>('peer');

/** An event stream that a client can come back to, as seen by a listener that has to end it early. */
export interface ResumableStream {
  /** A session's GET stream, which has no end of its own. */
  readonly standing: boolean;
  /** The JSON texts of the ids of the requests that it answers. */
  readonly requests: readonly string[];
  /** Whether its client can have the rest of it when the proxy has been started again. */
  readonly outlivesProxy: boolean;
}

/** The reply is a stream that is kept; set by the layer that keeps it. */
export const resumableSlot = slot<ResumableStream>('resumable');
