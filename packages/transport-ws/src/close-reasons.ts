import { ProxyError } from '@shadowcat/kernel';

/** Who sits at the other end: a server that we opened a socket to, or a client that opened one to us. */
export type Peer = 'upstream' | 'client';

/** Close codes that say "done", by peer (RFC 6455, 7.4.1). 1005 is a close frame without a code. A client may go away. */
const ORDERLY: Readonly<Record<Peer, readonly number[]>> = { upstream: [1000, 1005], client: [1000, 1001, 1005] };

/** What the other codes mean, from RFC 6455, 7.4.1, and the IANA registry of close codes. */
const WORDS: Readonly<Record<number, string>> = {
  1001: 'it is going away',
  1002: 'it found a protocol error in what it was sent',
  1003: 'it does not take this kind of data',
  1006: 'the connection was lost without a goodbye',
  1007: 'it was sent text that is not UTF-8',
  1008: 'it refuses by its own rules',
  1009: 'it was sent a message that is too big for it',
  1010: 'it misses an extension',
  1011: 'it has an internal error',
  1012: 'it is restarting',
  1013: 'it is overloaded and asks to try again later',
  1014: 'the server behind it gave no good answer',
};

/**
 * Why a socket that the other end closed is over; `undefined` when that was in good order. `text` is the reason given in
 * the close frame, at most 123 bytes.
 */
export function closeError(peer: Peer, name: string, close: { code: number; text: string }): ProxyError | undefined {
  const { code } = close;
  if (ORDERLY[peer].includes(code)) return undefined;
  const words = WORDS[code] ?? 'for a reason of its own';
  const text = printable(close.text);
  const message = `${name} closed the WebSocket: ${words} (code ${code}${text === '' ? '' : `, "${text}"`})`;
  return new ProxyError(peer === 'upstream' ? 'upstream_closed' : 'cancelled', message, { data: { closeCode: code } });
}

/** Why a socket failed: what the other end sent is not acceptable, or the network failed. */
export function faultError(peer: Peer, name: string, thrown: Error): ProxyError {
  const code = (thrown as NodeJS.ErrnoException).code ?? '';
  const options = { cause: thrown };
  if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
    const message = `${name} sent a message that is larger than the limit for WebSocket messages`;
    return new ProxyError(peer === 'upstream' ? 'upstream_protocol' : 'body_too_large', message, options);
  }
  if (code.startsWith('WS_ERR_')) {
    const message = `${name} broke the WebSocket protocol: ${thrown.message}`;
    return new ProxyError(peer === 'upstream' ? 'upstream_protocol' : 'invalid_request', message, options);
  }
  const message = `the WebSocket connection to ${name} failed: ${thrown.message || code}`;
  return new ProxyError(peer === 'upstream' ? 'upstream_closed' : 'cancelled', message, options);
}

/** A binary frame came; the MCP subprotocol has text frames only. */
export function binaryError(peer: Peer, name: string): ProxyError {
  const message = `${name} sent a binary WebSocket frame; MCP messages are text frames`;
  return new ProxyError(peer === 'upstream' ? 'upstream_protocol' : 'invalid_request', message);
}

/** The other end stopped answering pings. */
export function silentError(peer: Peer, name: string, silentMs: number): ProxyError {
  const message = `${name} answered no WebSocket ping for ${Math.round(silentMs / 1000)} s`;
  return new ProxyError(peer === 'upstream' ? 'upstream_closed' : 'cancelled', message);
}

/** The other end did not read what was sent to it. */
export function stalledError(peer: Peer, name: string, stalledMs: number): ProxyError {
  const message = `${name} has read nothing for ${Math.round(stalledMs / 1000)} s, and too much waits for it`;
  return new ProxyError(peer === 'upstream' ? 'upstream_closed' : 'slow_client', message);
}

/** Control characters do not belong into logs and error texts. */
function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim();
}
