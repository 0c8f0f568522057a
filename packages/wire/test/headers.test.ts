import type { HeaderMap } from '@shadowcat/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classify } from '../src/classify.js';
import { decodeHeaderValue, encodeHeaderValue } from '../src/header-values.js';
import { hopByHop } from '../src/hop-by-hop.js';
import { checkModernHeaders, modernHeaders } from '../src/modern-headers.js';
import { parseMessages } from '../src/read-messages.js';

const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
const BASE = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo' };
const tool = (name: unknown = 'echo') => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name, _meta: META },
});
const of = (method: string, params: object = {}) => ({
  jsonrpc: '2.0',
  id: 1,
  method,
  params: { ...params, _meta: META },
});

function check(body: unknown, headers: HeaderMap) {
  const head = { method: 'POST', target: '/mcp', headers };
  const { batch, messages } = parseMessages(JSON.stringify(body));
  return checkModernHeaders(head, classify(head, messages, batch));
}

describe('the headers of a modern POST', () => {
  const { 'mcp-name': _name, ...unnamed } = BASE;
  const { 'mcp-method': _method, ...noMethod } = BASE;
  const { 'mcp-protocol-version': _version, ...noVersion } = BASE;
  const modernNotification = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { _meta: META } };
  it.each<[name: string, body: unknown, headers: HeaderMap]>([
    ['all agree', tool(), BASE],
    ['space around values', tool(), { ...BASE, 'mcp-name': '  echo\t', 'mcp-method': ' tools/call' }],
    ['a name in Base64', tool('Hello, 世界'), { ...BASE, 'mcp-name': '=?base64?SGVsbG8sIOS4lueVjA==?=' }],
    ['unknown parameter headers', tool(), { ...BASE, 'mcp-param-region': 'us-west1' }],
    ['no name to repeat', of('tools/list'), { ...unnamed, 'mcp-method': 'tools/list' }],
    ['a name that no method asks for', of('tools/list'), { ...BASE, 'mcp-method': 'tools/list' }],
    ['a URI', of('resources/read', { uri: 'a:b' }), { ...BASE, 'mcp-method': 'resources/read', 'mcp-name': 'a:b' }],
    ['a body without the name', of('tools/call'), unnamed],
    ['a name that is no text', tool(7), unnamed],
    ['a task without the header', of('tasks/get', { taskId: 't' }), { ...unnamed, 'mcp-method': 'tasks/get' }],
    [
      'a subscription, which needs no name',
      of('resources/subscribe', { uri: 'u' }),
      { ...unnamed, 'mcp-method': 'resources/subscribe' },
    ],
    ['a notification without headers', modernNotification, {}],
    [
      'a request without the claim',
      { jsonrpc: '2.0', id: 1, method: 'ping', params: {} },
      { 'mcp-protocol-version': '2026-07-28' },
    ],
    [
      'an unknown revision in both places',
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'ping',
        params: { _meta: { 'io.modelcontextprotocol/protocolVersion': 'v999' } },
      },
      { 'mcp-protocol-version': 'v999', 'mcp-method': 'ping' },
    ],
    [
      'a legacy request with wrong headers',
      { jsonrpc: '2.0', id: 1, method: 'ping' },
      { 'mcp-method': 'tools/call', 'mcp-name': 'x' },
    ],
    ['a response', { jsonrpc: '2.0', id: 1, result: {} }, { 'mcp-protocol-version': '2026-07-28' }],
  ])('pass: %s', (_name, body, headers) => {
    expect(check(body, headers)).toBeUndefined();
  });

  it.each<[name: string, body: unknown, headers: HeaderMap, message: string]>([
    ['no revision', tool(), noVersion, "the MCP-Protocol-Version header is missing; the body says '2026-07-28'"],
    [
      'another revision',
      tool(),
      { ...BASE, 'mcp-protocol-version': '2025-11-25' },
      "MCP-Protocol-Version header value '2025-11-25' does not match body value '2026-07-28'",
    ],
    [
      'two revisions',
      tool(),
      { ...BASE, 'mcp-protocol-version': ['2026-07-28', '2026-07-28'] },
      "header value '2026-07-28, 2026-07-28' does not",
    ],
    ['no method', tool(), noMethod, "the Mcp-Method header is missing; the body says 'tools/call'"],
    [
      'another method',
      tool(),
      { ...BASE, 'mcp-method': 'tools/list' },
      "Mcp-Method header value 'tools/list' does not match",
    ],
    ['a method in capitals', tool(), { ...BASE, 'mcp-method': 'Tools/Call' }, 'does not match'],
    ['no name', tool(), unnamed, "the Mcp-Name header is missing; the body says 'echo'"],
    [
      'another name',
      tool(),
      { ...BASE, 'mcp-name': 'delete' },
      "Mcp-Name header value 'delete' does not match body value 'echo'",
    ],
    [
      'another name in Base64',
      tool(),
      { ...BASE, 'mcp-name': '=?base64?ZGVsZXRl?=' },
      "Mcp-Name header value 'delete' does not",
    ],
    [
      'a name in broken Base64',
      tool(),
      { ...BASE, 'mcp-name': '=?base64?ZWNobw=?=' },
      'Mcp-Name is not properly encoded',
    ],
    ['a name twice', tool(), { ...BASE, 'mcp-name': ['echo', 'echo'] }, 'Mcp-Name is not properly encoded'],
    [
      'another task',
      of('tasks/get', { taskId: 't' }),
      { ...BASE, 'mcp-method': 'tasks/get', 'mcp-name': 'u' },
      "value 'u' does not",
    ],
    ['a notification with another method', modernNotification, { 'mcp-method': 'x' }, 'Mcp-Method header value'],
    [
      'another method without the claim',
      { jsonrpc: '2.0', id: 1, method: 'ping' },
      { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'x' },
      'Mcp-Method',
    ],
  ])('are refused: %s', (_name, body, headers, message) => {
    const error = check(body, headers);
    expect(error?.code).toBe('header_mismatch');
    expect(error?.message).toContain('Header mismatch: ');
    expect(error?.message).toContain(message);
  });

  it('are of no use to a batch', () => {
    expect(check([tool(), tool()], BASE)?.code).toBe('invalid_request');
  });

  it('are not asked of GET and DELETE', () => {
    const head = { method: 'GET', target: '/mcp', headers: { 'mcp-protocol-version': '2026-07-28' } };
    expect(checkModernHeaders(head, classify(head, [], false))).toBeUndefined();
  });

  it('do not repeat a long value whole', () => {
    expect(check(tool('x'.repeat(5_000)), BASE)?.message.length).toBeLessThan(300);
  });

  it.each([
    [
      tool('naïve'),
      { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': '=?base64?bmHDr3Zl?=' },
    ],
    [of('tools/list'), { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list', 'mcp-name': undefined }],
    [
      of('tasks/get', { taskId: 't' }),
      { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tasks/get', 'mcp-name': 't' },
    ],
  ])('are made from the message: %j', (body, headers) => {
    const [message] = parseMessages(JSON.stringify(body)).messages;
    const made = message === undefined ? {} : modernHeaders(message);
    expect(made).toEqual(headers);
    expect(check(body, made)).toBeUndefined();
  });
});

describe('header values', () => {
  // The table of the specification (2026-07-28, Streamable HTTP, "Value Encoding").
  it.each([
    ['us-west1', 'us-west1'],
    ['Hello, 世界', '=?base64?SGVsbG8sIOS4lueVjA==?='],
    [' padded ', '=?base64?IHBhZGRlZCA=?='],
    ['line1\nline2', '=?base64?bGluZTEKbGluZTI=?='],
    ['=?base64?literal?=', '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?='],
    ['', '=?base64??='],
    ['a\tb c', 'a\tb c'],
    ['=?base64?', '=?base64?'],
    ['=?BASE64?eA==?=', '=?BASE64?eA==?='],
  ])('%j is sent as %s', (value, header) => {
    expect(encodeHeaderValue(value)).toBe(header);
    expect(decodeHeaderValue(header)).toBe(value);
  });

  it.each([
    ['  plain\t ', 'plain'],
    ['\t=?base64?eA==?= ', 'x'],
    ['=?base64?eA?=', undefined],
    ['=?base64?eA=?=', undefined],
    ['=?base64?e-_A?=', undefined],
    ['=?base64?e A=?=', undefined],
    ['=?base64?====?=', undefined],
    ['=?base64?/w==?=', undefined],
  ])('%j is read as %j', (header, value) => {
    expect(decodeHeaderValue(header)).toBe(value);
  });

  it('come back as they were', () => {
    const text = fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed());
    fc.assert(
      fc.property(text, (value) => {
        const header = encodeHeaderValue(value);
        expect(/^[\t\x20-\x7e]*$/.test(header)).toBe(true);
        expect(decodeHeaderValue(header)).toBe(value);
      }),
      { numRuns: 500 },
    );
  });
});

describe('hopByHop', () => {
  it('leaves out what concerns one connection, also what Connection names', () => {
    const headers = {
      host: 'a',
      connection: 'Keep-Alive, X-Trace',
      'keep-alive': 'timeout=5',
      'proxy-authenticate': 'Basic',
      'proxy-authorization': 'Basic x',
      'proxy-connection': 'close',
      te: 'trailers',
      trailer: 'x',
      'transfer-encoding': 'chunked',
      upgrade: 'websocket',
      'x-trace': '1',
      'x-other': '2',
      'set-cookie': ['a=1', 'b=2'],
    };
    const copy = structuredClone(headers);
    expect(hopByHop(headers)).toEqual({ host: 'a', 'x-other': '2', 'set-cookie': ['a=1', 'b=2'] });
    expect(headers).toEqual(copy);
  });

  it('reads a Connection field that came several times', () => {
    expect(hopByHop({ connection: ['a', 'B'], a: '1', b: '2', c: '3' })).toEqual({ c: '3' });
  });

  it('does not let a field change what objects inherit', () => {
    const headers = JSON.parse('{"__proto__":["x"],"a":"1"}') as HeaderMap;
    expect(Object.getPrototypeOf(hopByHop(headers))).toBe(Object.prototype);
    expect(hopByHop(headers)).toEqual({ a: '1' });
  });
});
