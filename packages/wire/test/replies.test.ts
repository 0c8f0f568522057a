import { BLAME, type ErrorCode, ProxyError } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { type ErrorReplyOptions, errorReply, errorText, REPLIES } from '../src/replies.js';
import { notificationText, requestText, responseText } from '../src/texts.js';

interface Details {
  readonly retryAfter?: number;
  readonly data?: Record<string, unknown>;
}

/** The reply to an error, read. */
function answer(code: ErrorCode, options: ErrorReplyOptions = {}, details: Details = {}) {
  const { head, body } = errorReply(new ProxyError(code, 'what, where, what to do', details), options);
  const text = new TextDecoder().decode(body.ready);
  return { ...head, text, message: JSON.parse(text) as unknown };
}

describe('the error table', () => {
  it.each(Object.keys(BLAME) as ErrorCode[])(
    '%s: an HTTP error and a JSON-RPC code of those that are free to use',
    (code) => {
      const { status, rpc } = REPLIES[code];
      expect(status).toBeGreaterThanOrEqual(400);
      const defined = [-32700, -32600, -32602, -32603, -32020, -32022].includes(rpc);
      const own = rpc <= -32000 && rpc >= -32019 && rpc !== -32002;
      expect(defined || own).toBe(true);
    },
  );

  it('has a code of its own for all but faults of the HTTP request', () => {
    // The numbers are all in use: this one shares that of `upstream_unreachable`, which says as well that nothing was sent.
    const { upstream_unavailable: _shared, ...others } = REPLIES;
    const own = Object.values(others)
      .map((rule) => rule.rpc)
      .filter((rpc) => rpc !== -32000);
    expect(new Set(own).size).toBe(own.length);
  });

  it.each<[ErrorCode, status: number, rpc: number]>([
    ['parse_error', 400, -32700],
    ['invalid_request', 400, -32600],
    ['header_mismatch', 400, -32020],
    ['unsupported_version', 400, -32022],
    ['session_not_found', 404, -32001],
    ['session_required', 400, -32000],
    ['body_too_large', 413, -32000],
    ['unsupported_encoding', 415, -32000],
    ['forbidden_origin', 403, -32000],
    ['pool_exhausted', 503, -32006],
    ['draining', 503, -32007],
    ['child_exited', 502, -32009],
    ['upstream_unreachable', 502, -32011],
    ['upstream_timeout', 504, -32012],
    ['upstream_closed', 502, -32013],
    ['replay_miss', 200, -32004],
    ['blocked', 200, -32003],
    ['internal', 500, -32603],
  ])('answers a request that met %s with %i and %i', (code, status, rpc) => {
    const { status: sent, headers, message } = answer(code, { idTexts: ['1'] }, { data: { a: 1 } });
    expect(sent).toBe(status);
    expect(headers['content-type']).toBe('application/json');
    expect(message).toEqual({
      jsonrpc: '2.0',
      id: 1,
      error: { code: rpc, message: expect.any(String) as string, data: { a: 1 } },
    });
  });
});

describe('errorReply', () => {
  it.each<[ErrorCode, number]>([
    ['replay_miss', 404],
    ['blocked', 403],
    ['upstream_closed', 502],
  ])('sends %s with %i where no request is owed an answer', (code, status) => {
    const reply = answer(code);
    expect(reply.status).toBe(status);
    expect(reply.message).toMatchObject({ id: null });
  });

  it('answers each request of a batch', () => {
    const { text } = answer('upstream_closed', { idTexts: ['1.0', '"a"'] });
    expect(text).toMatch(/^\[\{"jsonrpc":"2\.0","id":1\.0,.*\},\{"jsonrpc":"2\.0","id":"a",.*\}\]$/);
  });

  it.each<
    [ErrorCode, ErrorReplyOptions, details: { retryAfter?: number; data?: Record<string, unknown> }, headers: object]
  >([
    ['pool_exhausted', {}, {}, { 'retry-after': '1' }],
    ['draining', {}, { retryAfter: 10 }, { 'retry-after': '10' }],
    ['rate_limited', {}, {}, { 'retry-after': '1' }],
    ['upstream_unreachable', {}, { retryAfter: 30 }, { 'retry-after': '30' }],
    ['upstream_unreachable', {}, {}, {}],
    ['method_not_allowed', {}, {}, { allow: 'GET, POST, DELETE' }],
    ['method_not_allowed', { era: 'modern' }, {}, { allow: 'POST' }],
    ['method_not_allowed', {}, { data: { allow: ['GET', 'HEAD'] } }, { allow: 'GET, HEAD' }],
    ['unauthorized', {}, {}, { 'www-authenticate': 'Bearer' }],
    ['unsupported_encoding', {}, {}, { 'accept-encoding': 'identity' }],
  ])('sends with %s %j %j the fields that belong to it', (code, options, details, headers) => {
    expect(answer(code, options, details).headers).toEqual({ 'content-type': 'application/json', ...headers });
  });

  it('has its bytes ready', () => {
    expect(errorReply(new ProxyError('draining', 'x')).body.ready).toBeDefined();
  });
});

describe('errorText', () => {
  it('keeps the id as it was written and says what it was told', () => {
    const error = new ProxyError('blocked', 'the tool "rm" is blocked', { data: { rule: 'no-rm' } });
    expect(errorText(error, '9007199254740993')).toBe(
      '{"jsonrpc":"2.0","id":9007199254740993,"error":{"code":-32003,"message":"the tool \\"rm\\" is blocked","data":{"rule":"no-rm"}}}',
    );
    expect(errorText(error, null)).toContain('"id":null');
  });

  it('does not tell clients what broke inside', () => {
    const text = errorText(ProxyError.from(new Error("ENOENT: no such file '/home/me/secret'")), '1');
    expect(text).not.toContain('/home');
    expect(text).toContain('"code":-32603');
  });
});

describe('message texts', () => {
  it.each([
    [requestText('1.0', 'ping'), '{"jsonrpc":"2.0","id":1.0,"method":"ping"}'],
    [requestText('"a"', 'x"y', '{"n":1.0}'), '{"jsonrpc":"2.0","id":"a","method":"x\\"y","params":{"n":1.0}}'],
    [notificationText('n'), '{"jsonrpc":"2.0","method":"n"}'],
    [notificationText('n', '{}'), '{"jsonrpc":"2.0","method":"n","params":{}}'],
    [responseText('1', '{"a":9007199254740993}'), '{"jsonrpc":"2.0","id":1,"result":{"a":9007199254740993}}'],
  ])('%s', (text, expected) => {
    expect(text).toBe(expected);
    JSON.parse(text);
  });
});
