import { type ProxyError, slot } from '@shadowcat/kernel';
import type { Call } from './call.js';
import type { SessionHandle } from './session-handle.js';

/** What the exchange asks for; set by the classify layer, read by everything inside it. */
export const callSlot = slot<Call>('call');

/** The client's session; set by the session layer for legacy exchanges that have one. */
export const sessionSlot = slot<SessionHandle>('session');

/** The name of the upstream target that was chosen; set by the upstream room, read by metrics, log and tape. */
export const targetSlot = slot<string>('target');

/** The error an exchange ended with, when it did; set by the rescue layer, read by metrics and log. */
export const failureSlot = slot<ProxyError>('failure');

/** Bytes hashed from the client's credential, or the empty string for anonymous; set by the edge, never logged. */
export const credentialSlot = slot<string>('credential');

/** The network address of whoever sent the exchange; set by listeners, absent on lines of our own. */
export const peerSlot = slot<string>('peer');
