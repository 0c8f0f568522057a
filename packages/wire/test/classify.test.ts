import type { HeaderMap } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { claimedVersion, classify, isModern, targetOf } from '../src/classify.js';
import { parseMessages } from '../src/read-messages.js';

const CLAIM = 'io.modelcontextprotocol/protocolVersion';

function call(body: unknown, headers: HeaderMap = {}, method = 'POST') {
  const { batch, messages } = body === undefined ? { batch: false, messages: [] } : parseMessages(JSON.stringify(body));
  return classify({ method, target: '/mcp', headers }, messages, batch);
}
const request = (method: string, params?: object, id: string | number = 1) => ({ jsonrpc: '2.0', id, method, params });
const modern = (method: string, params: object = {}, version = '2026-07-28') =>
  request(method, { ...params, _meta: { [CLAIM]: version } });

describe('the era of a POST', () => {
  it.each([
    ['initialize', request('initialize', { protocolVersion: '2025-11-25' }), {}, 'legacy', undefined],
    [
      'initialize under a modern header',
      request('initialize'),
      { 'mcp-protocol-version': '2026-07-28' },
      'legacy',
      '2026-07-28',
    ],
    ['initialize with a modern claim', modern('initialize'), {}, 'modern', '2026-07-28'],
    ['a request without a claim', request('tools/list'), {}, 'legacy', undefined],
    [
      'a request under a legacy header',
      request('tools/list'),
      { 'mcp-protocol-version': '2025-06-18' },
      'legacy',
      '2025-06-18',
    ],
    ['a request with a claim', modern('tools/list'), {}, 'modern', '2026-07-28'],
    [
      'a claim and a header that differ',
      modern('tools/list'),
      { 'mcp-protocol-version': '2025-06-18' },
      'modern',
      '2026-07-28',
    ],
    [
      'a request under a modern header',
      request('tools/list'),
      { 'mcp-protocol-version': '2026-07-28' },
      'modern',
      '2026-07-28',
    ],
    [
      'a header with space around it',
      request('tools/list'),
      { 'mcp-protocol-version': ' 2026-07-28 ' },
      'modern',
      '2026-07-28',
    ],
    ['a later revision', modern('tools/list', {}, '2027-01-01'), {}, 'modern', '2027-01-01'],
    ['a revision nobody knows', modern('tools/list', {}, '1900-01-01'), {}, 'modern', '1900-01-01'],
    ['a claim of a legacy revision', modern('tools/list', {}, '2025-11-25'), {}, 'legacy', undefined],
    ['a claim that is no text', request('x', { _meta: { [CLAIM]: 1 } }), {}, 'legacy', undefined],
    ['_meta that is no object', request('x', { _meta: [CLAIM] }), {}, 'legacy', undefined],
    ['params that are an array', { jsonrpc: '2.0', id: 1, method: 'x', params: [{}] }, {}, 'legacy', undefined],
    [
      'a notification with a claim',
      { jsonrpc: '2.0', method: 'n', params: { _meta: { [CLAIM]: '2026-07-28' } } },
      {},
      'modern',
      '2026-07-28',
    ],
    ['a response', { jsonrpc: '2.0', id: 1, result: {} }, {}, 'legacy', undefined],
    ['a legacy batch', [request('a'), request('b')], {}, 'legacy', undefined],
    ['a batch with a modern message', [request('a'), modern('b')], {}, 'modern', '2026-07-28'],
  ])('%s', (_name, body, headers, era, protocolVersion) => {
    expect(call(body, headers)).toMatchObject({ era, protocolVersion, verb: 'post' });
  });

  it.each([
    ['2026-07-28', true],
    ['2027-01-01', true],
    ['v999.0.0', true],
    ['2025-11-25', false],
    ['1.0', false],
    ['', false],
  ])('%s is modern: %s', (version, is) => {
    expect(isModern(version)).toBe(is);
  });
});

describe('verb, method and message', () => {
  it.each([
    ['GET', undefined, { verb: 'stream', method: '(stream)', expectsAnswer: false, message: undefined }],
    ['DELETE', undefined, { verb: 'end', method: '(end)', expectsAnswer: false }],
    ['POST', undefined, { verb: 'post', method: '(none)', expectsAnswer: false }],
    ['POST', request('ping'), { method: 'ping', expectsAnswer: true, batch: false }],
    [
      'POST',
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      { method: 'notifications/initialized', expectsAnswer: false },
    ],
    [
      'POST',
      { jsonrpc: '2.0', id: 1, error: { code: 1, message: '' } },
      { method: '(response)', expectsAnswer: false },
    ],
    [
      'POST',
      [{ jsonrpc: '2.0', method: 'n' }, request('b'), request('c')],
      { method: 'b', expectsAnswer: true, batch: true },
    ],
    [
      'POST',
      [
        { jsonrpc: '2.0', id: 1, result: {} },
        { jsonrpc: '2.0', method: 'n' },
      ],
      { method: '(response)', expectsAnswer: false },
    ],
  ])('of %s %j', (method, body, expected) => {
    expect(call(body, {}, method)).toMatchObject(expected);
  });

  it('keeps all messages in order', () => {
    expect(call([request('a'), request('b')]).messages.map((message) => message.method)).toEqual(['a', 'b']);
  });

  it('takes the session id of legacy calls only', () => {
    const headers = { 'mcp-session-id': 's1' };
    expect(call(request('ping'), headers).sessionId).toBe('s1');
    expect(call(undefined, headers, 'GET').sessionId).toBe('s1');
    expect(call(modern('ping'), headers).sessionId).toBeUndefined();
    expect(call(undefined, { ...headers, 'mcp-protocol-version': '2026-07-28' }, 'GET')).toMatchObject({
      era: 'modern',
      sessionId: undefined,
    });
  });
});

describe('the target', () => {
  it.each([
    [request('tools/call', { name: 'echo' }), 'echo'],
    [request('tools/call', { name: 1 }), undefined],
    [request('tools/call'), undefined],
    [request('prompts/get', { name: 'p' }), 'p'],
    [request('resources/read', { uri: 'file:///x', name: 'no' }), 'file:///x'],
    [request('resources/subscribe', { uri: 'u' }), 'u'],
    [request('resources/unsubscribe', { uri: 'u' }), 'u'],
    [request('tasks/get', { taskId: 't' }), 't'],
    [request('completion/complete', { ref: { type: 'ref/prompt', name: 'p' } }), 'p'],
    [request('completion/complete', { ref: { type: 'ref/resource', uri: 'u' } }), 'u'],
    [request('tools/list', { name: 'x' }), undefined],
    [request('constructor', { name: 'x' }), undefined],
    [{ jsonrpc: '2.0', id: 1, result: { name: 'x' } }, undefined],
  ])('of %j is %s', (body, target) => {
    expect(call(body).target).toBe(target);
    const [message] = parseMessages(JSON.stringify(body)).messages;
    expect(message && targetOf(message)).toBe(target);
  });

  it('is not taken from what a key named __proto__ holds', () => {
    const [message] = parseMessages(
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"__proto__":{"name":"x"}}}',
    ).messages;
    expect(message && targetOf(message)).toBeUndefined();
    expect(claimedVersion(message)).toBeUndefined();
  });
});
