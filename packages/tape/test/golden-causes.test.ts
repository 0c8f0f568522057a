import { describe, expect, it } from 'vitest';
import { goldenOf, readTape } from '../src/index.js';
import { bytesOf, newDigest } from './support/rig.js';

/** Races of sockets that show in a capture and not in its golden form. */

const HEAD = { k: 'head', v: 1, form: 'capture', requires: [], scope: 'all' };
const golden = (...records: readonly object[]): string => {
  const text = `${[HEAD, ...records].map((record) => JSON.stringify(record)).join('\n')}\n`;
  return goldenOf(readTape(bytesOf(text), { name: 'g', newDigest }), { newDigest }).lines.join('');
};

const post = (x: string, m: object): object[] => [
  { k: 'http', s: 's1', x, from: 'client', method: 'POST', target: '/mcp', headers: {} },
  { k: 'msg', s: 's1', x, from: 'client', m: { jsonrpc: '2.0', ...m } },
];
const head = (x: string): object => ({ k: 'http', s: 's1', x, from: 'server', status: 200, headers: {} });
const say = (x: string, m: object): object => ({ k: 'msg', s: 's1', x, from: 'server', m: { jsonrpc: '2.0', ...m } });
const over = (x: string): object => ({ k: 'x-', s: 's1', x, end: 'answered' });
const answer = (x: string, id: number): object[] => [head(x), say(x, { id, result: {} }), over(x)];

const opened = [...post('1', { id: 0, method: 'initialize' }), ...answer('1', 0)];
const initialized = [...post('2', { method: 'notifications/initialized' }), head('2'), over('2')];
const get = [{ k: 'http', s: 's1', x: '3', from: 'client', method: 'GET', target: '/mcp', headers: {} }, head('3')];
const list = post('4', { id: 1, method: 'tools/list' });
const listed = answer('4', 1);
const roots = say('3', { id: 9, method: 'roots/list' });
const changed = say('3', { method: 'notifications/tools/list_changed' });
const gave = [...post('5', { id: 9, result: { roots: [] } }), head('5'), over('5')];
const calls = post('6', { id: 2, method: 'tools/call', params: { name: 'a' } });

describe('what comes on a standing stream', () => {
  it('is not caused by a list that the client asked for while it opened the stream', () => {
    const before = golden(...opened, ...initialized, ...get, roots, changed, ...list, ...listed, ...gave);
    expect(golden(...opened, ...initialized, ...list, ...get, roots, changed, ...listed, ...gave)).toBe(before);
    expect(golden(...opened, ...initialized, ...list, ...get, changed, ...listed, roots, ...gave)).not.toBe(before);
  });

  it('and announces a change comes behind the list that was answered before', () => {
    const first = golden(...opened, ...initialized, ...get, ...list, changed, ...listed);
    expect(golden(...opened, ...initialized, ...get, ...list, ...listed, changed)).not.toBe(first);
  });

  it('and asks something is not caused by a list, answered or not', () => {
    const first = golden(...opened, ...initialized, ...get, ...list, roots, ...listed, ...gave);
    expect(golden(...opened, ...initialized, ...get, ...list, ...listed, roots, ...gave)).toBe(first);
    expect(golden(...opened, ...initialized, ...get, ...list, ...listed, ...calls, roots, ...gave)).not.toBe(first);
  });
});

describe('the head of an answer', () => {
  it('stands behind its request, whether it came before the answer to a question or after it', () => {
    const primed = { k: 'sse', s: 's1', x: '6', sse: { id: 'e1', retry: 500 } };
    const begun = [...opened, ...initialized, ...get, ...calls];
    const said = [say('6', { id: 2, result: {} }), over('6')];
    const early = golden(...begun, head('6'), primed, roots, ...gave, ...said);
    expect(golden(...begun, roots, ...gave, head('6'), primed, ...said)).toBe(early);
  });
});
