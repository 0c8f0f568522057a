import { describe, expect, it } from 'vitest';
import { LINT_RULES, lintTape, readTape, type Tape } from '../src/index.js';
import { bytesOf, newDigest, record } from './support/rig.js';
import { legacyServer } from './support/servers.js';

const HEAD = '{"k":"head","v":1,"form":"capture","requires":[],"redaction":{"policy":"default@1","key":"k"}}';
const END = '{"k":"end","lines":0,"lost":0,"sha":""}';

const read = (text: string): Tape => readTape(bytesOf(text), { name: 't', newDigest });
const rulesOf = (tape: Tape): string[] => lintTape(tape).map(({ rule, line }) => `${rule.id}:${line}`);
/** A tape of these records with a digest that fits. */
function tapeOf(...records: readonly object[]): Tape {
  const lines = [HEAD, ...records.map((it) => JSON.stringify(it))];
  const body = `${lines.join('\n')}\n`;
  const before = `{"k":"end","lines":${lines.length},"lost":0`;
  const digest = newDigest();
  digest.update(body);
  return read(`${body}${before},"sha":"${digest.with(before)}"}\n`);
}

const msg = (from: string, m: object, x = '1') => ({ k: 'msg', s: 's1', x, from, m: { jsonrpc: '2.0', ...m } });
const open = [
  msg('client', { id: 0, method: 'initialize' }, 'i'),
  msg('server', { id: 0, result: {} }, 'i'),
  { k: 'x-', s: 's1', x: 'i', end: 'answered' },
];
const ask = msg('client', { id: 1, method: 'ping' });
const answer = msg('server', { id: 1, result: {} });
const over = { k: 'x-', s: 's1', x: '1', end: 'answered' };

describe('lint', () => {
  it('finds nothing wrong with what the recorder writes', async () => {
    const [tape] = await record(legacyServer(), async (client) => {
      await client.open();
      await client.end();
    });
    expect(tape === undefined ? [] : rulesOf(tape)).toEqual([]);
  });

  it.each<[string, Tape, string[]]>([
    ['a sound tape', tapeOf(...open, ask, answer, over), []],
    ['a tape that is cut off', read(`${HEAD}\n{"k"`), ['T001:2']],
    ['a line that is no record', read(`${HEAD}\n<<<<<<< HEAD\n`), ['T002:2']],
    ['a digest that does not fit', read(`${HEAD}\n${END}\n`), ['T003:2']],
    ['an edited golden tape', read(`${HEAD.replace('capture', 'golden')}\n${END}\n`), ['T004:2']],
    ['a gap', tapeOf({ k: 'gap', lost: 1, why: 'full' }), ['T005:2']],
    ['an exchange without end', tapeOf(...open, ask, answer), ['T101:5']],
    ['a record after the end', tapeOf(...open, ask, over, answer), ['T202:5', 'T102:7']],
    ['an answer without question', tapeOf(...open, answer, over), ['T103:5', 'T203:5']],
    ['no message', tapeOf(...open, msg('client', { id: 1 }), over), ['T201:5']],
    ['a request without answer', tapeOf(...open, ask, over), ['T202:5']],
    [
      'an answer to something else',
      tapeOf(...open, ask, answer, msg('server', { id: 2, result: {} }), over),
      ['T203:7'],
    ],
    ['a session that does not begin', tapeOf(ask, answer, over), ['T204:2']],
    [
      'a session that is older than the recording',
      tapeOf({ k: 'sess', s: 's1', era: 'legacy', resumed: true }, ask, answer, over),
      [],
    ],
    [
      'a header that is not allowed',
      tapeOf(
        { k: 'http', s: '-', x: '1', from: 'client', method: 'GET', headers: { cookie: 'a' } },
        { ...over, s: '-' },
      ),
      ['T301:2'],
    ],
  ])('of %s', (_, tape, expected) => {
    expect(rulesOf(tape)).toEqual(expected);
  });

  it('tells what was not redacted and what was recovered', () => {
    const bare = HEAD.replace(/,"redaction":.*\}\}$/, '}');
    expect(rulesOf(read(`${bare}\n{"k":"gap","lost":1}\n`))).toEqual(['T302:1', 'T005:2', 'T001:2']);
  });

  it('has for each rule a tape that breaks just this one', () => {
    const told = msg('server', { method: 'notifications/message', params: {} });
    const recovered = tapeOf();
    const tapes: readonly Tape[] = [
      read(`${HEAD}\n`),
      read(`${HEAD}\nno record\n`),
      read(`${HEAD}\n${END}\n`),
      read(`${HEAD.replace('capture', 'golden')}\n${END}\n`),
      tapeOf({ k: 'gap', lost: 1, why: 'full' }),
      { ...recovered, end: { k: 'end', line: 2, lines: 1, lost: 0, sha: '', recovered: true } },
      tapeOf(...open, ask, answer),
      tapeOf(...open, ask, answer, over, told),
      tapeOf(...open, told, over),
      tapeOf(...open, msg('client', { id: 1 }), over),
      tapeOf(...open, ask, over),
      tapeOf(...open, ask, answer, answer, over),
      tapeOf(ask, answer, over),
      tapeOf({ k: 'http', s: '-', x: '1', from: 'client', headers: { cookie: 'a' } }, { ...over, s: '-' }),
      { ...recovered, head: { k: 'head', line: 1, v: 1, form: 'capture', requires: [] } },
    ];
    const found = tapes.map((tape) => [...new Set(rulesOf(tape).map((rule) => rule.split(':')[0]))].join());
    // A missing blob and the form of a golden tape are seen with the files beside it.
    const beside = [LINT_RULES.blob.id, LINT_RULES.unformatted.id];
    expect(found).toEqual(Object.values(LINT_RULES).flatMap(({ id }) => (beside.includes(id) ? [] : [id])));
  });

  it('has rules with numbers of their own, and all their texts', () => {
    const rules = Object.values(LINT_RULES);
    expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
    for (const { id, what, why, fix } of rules) {
      expect(id).toMatch(/^T\d{3}$/);
      expect(what && why && fix).not.toBe('');
    }
  });
});
