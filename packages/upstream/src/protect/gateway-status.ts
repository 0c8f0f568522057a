import type { ExchangeOutcome } from '../member.js';

/**
 * What the status of an answer says about the member behind it. 502, 503 and 504 are what a gateway in front of a server says
 * when the server is gone, busy or silent (RFC 9110, 15.6.3 to 15.6.5); everything else proves that somebody answers.
 */
export function outcomeOfStatus(status: number): ExchangeOutcome {
  if (status === 504) return 'timeout';
  return status === 502 || status === 503 ? 'transport-failure' : 'answered';
}
