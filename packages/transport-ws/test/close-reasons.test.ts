import { describe, expect, it } from 'vitest';
import { closeError, faultError } from '../src/close-reasons.js';

describe('a close code', () => {
  it.each([
    ['upstream', 1000, undefined],
    ['upstream', 1005, undefined],
    ['upstream', 1001, 'upstream_closed'],
    ['upstream', 1006, 'upstream_closed'],
    ['upstream', 1011, 'upstream_closed'],
    ['upstream', 4321, 'upstream_closed'],
    ['client', 1000, undefined],
    ['client', 1001, undefined],
    ['client', 1005, undefined],
    ['client', 1006, 'cancelled'],
    ['client', 1008, 'cancelled'],
  ] as const)('of the %s, %i, ends the line with %s', (peer, code, expected) => {
    expect(closeError(peer, 'ws://h/mcp', { code, text: '' })?.code).toBe(expected);
  });

  it('is told in plain words, with what the other end said and nothing that could forge a log line', () => {
    expect(closeError('upstream', 'ws://h/mcp', { code: 1013, text: 'busy\r\n2026 fake' })?.message).toBe(
      'ws://h/mcp closed the WebSocket: it is overloaded and asks to try again later (code 1013, "busy 2026 fake")',
    );
  });
});

describe('a fault', () => {
  const error = (code: string, message: string): Error => Object.assign(new Error(message), { code });

  it.each([
    ['upstream', 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'upstream_protocol'],
    ['client', 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'body_too_large'],
    ['upstream', 'WS_ERR_INVALID_UTF8', 'upstream_protocol'],
    ['client', 'WS_ERR_INVALID_UTF8', 'invalid_request'],
    ['upstream', 'ECONNRESET', 'upstream_closed'],
    ['client', 'ECONNRESET', 'cancelled'],
  ] as const)('of the %s, %s, is %s', (peer, code, expected) => {
    expect(faultError(peer, 'it', error(code, 'words')).code).toBe(expected);
  });
});
