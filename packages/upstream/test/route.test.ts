import { classifiedExchange, type ExchangeParts } from '@shadowcat/testkit';
import { credentialSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { type RouteMatch, routeTest } from '../src/route.js';

type Asked = ExchangeParts & { readonly body?: object };
const call = (name: string): Asked => ({ body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } } });
const list: Asked = { body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } };

describe('a route', () => {
  it.each<[RouteMatch, Asked, boolean]>([
    [{}, list, true],
    [{ path: '/team-a/mcp' }, { ...list, target: '/team-a/mcp' }, true],
    [{ path: '/team-a/mcp' }, { ...list, target: '/team-a/mcp/?x=1' }, true],
    [{ path: '/team-a/mcp' }, { ...list, target: '/team-a/mcp2' }, false],
    [{ path: '/team-a/mcp' }, list, false],
    [{ headers: { 'x-team': 'a' } }, { ...list, headers: { 'x-team': 'a' } }, true],
    [{ headers: { 'x-team': 'a' } }, { ...list, headers: { 'x-team': 'b' } }, false],
    [{ headers: { 'x-team': 'a' } }, list, false],
    [{ headers: { 'x-team': '*' } }, { ...list, headers: { 'x-team': '' } }, true],
    [{ headers: { 'x-team': '*' } }, list, false],
    [{ methods: ['tools/call'] }, call('x'), true],
    [{ methods: ['resources/*', 'tools/*'] }, list, true],
    [{ methods: ['prompts/*'] }, list, false],
    [{ tools: ['read_*'] }, call('read_file'), true],
    [{ tools: ['read_*'] }, call('write_file'), false],
    [{ tools: ['*_file', 'x'] }, call('write_file'), true],
    [{ tools: ['a*b*c'] }, call('aXbYc'), true],
    [{ tools: ['a*bc*bc'] }, call('abc'), false],
    [{ tools: ['ab*ba'] }, call('aba'), false],
    [{ tools: ['*'] }, list, false],
    [
      { tools: ['read_*'] },
      { body: { jsonrpc: '2.0', id: 1, method: 'prompts/get', params: { name: 'read_x' } } },
      false,
    ],
    [{ tools: ['read_*'], headers: { 'x-team': 'a' } }, call('read_file'), false],
  ])('%j takes %j: %j', (match, asked, taken) => {
    expect(routeTest(match)(classifiedExchange(asked))).toBe(taken);
  });

  it('knows a client by its credential, and one that has none', () => {
    const known = classifiedExchange(list);
    known.context.set(credentialSlot, 'digest');
    const unknown = classifiedExchange(list);
    expect([routeTest({ credentials: ['digest'] })(known), routeTest({ credentials: ['digest'] })(unknown)]).toEqual([
      true,
      false,
    ]);
    expect([routeTest({ credentials: [''] })(known), routeTest({ credentials: [''] })(unknown)]).toEqual([false, true]);
  });

  it('takes a batch only where neither method nor tool matters', () => {
    const body = [{ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'read' } }];
    const batch = classifiedExchange({ body, headers: { 'x-team': 'a' } });
    expect(routeTest({ methods: ['tools/call'] })(batch)).toBe(false);
    expect(routeTest({ tools: ['*'] })(batch)).toBe(false);
    expect(routeTest({ headers: { 'x-team': 'a' } })(batch)).toBe(true);
  });

  it('is decided in linear time', () => {
    const test = routeTest({ tools: ['*a'.repeat(40)] });
    expect(test(classifiedExchange(call('a'.repeat(100_000).concat('b'))))).toBe(false);
  });
});
