import { type ErrorCode, ProxyError } from '@shadowcat/kernel';

/** Promise that nothing was sent, so that whoever hears of it may send it again. */
const UNSENT: ReadonlySet<ErrorCode> = new Set(['upstream_unreachable', 'upstream_unavailable', 'spawn_failed']);

/** The same error, of something that was sent, or may have been. */
export function whenSent(error: ProxyError): ProxyError {
  return UNSENT.has(error.code) ? new ProxyError('upstream_closed', error.message, { cause: error }) : error;
}
