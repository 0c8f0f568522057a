import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goldenOf, readTape, type Tape } from '../src/index.js';
import { bytesOf, newDigest } from './support/rig.js';

/** A record that comes after others: those with these numbers. */
interface Event {
  readonly record: object;
  readonly after: readonly number[];
}

const read = (...records: readonly object[]): Tape =>
  readTape(
    bytesOf(
      `${[{ k: 'head', v: 1, form: 'capture', requires: [] }, ...records].map((it) => JSON.stringify(it)).join('\n')}\n`,
    ),
    { name: 't', newDigest },
  );
const golden = (...records: readonly object[]): string => goldenOf(read(...records), { newDigest }).lines.join('');

const s = 's1';
const post = (x: string, m: object): object[] => [
  { k: 'http', s, x, from: 'client', method: 'POST', target: '/mcp', headers: {} },
  { k: 'msg', s, x, from: 'client', m: { jsonrpc: '2.0', ...m } },
];
const head = (x: string, status = 200): object => ({ k: 'http', s, x, from: 'server', status, headers: {} });
const say = (x: string, m: object): object => ({ k: 'msg', s, x, from: 'server', m: { jsonrpc: '2.0', ...m } });
const over = (x: string): object => ({ k: 'x-', s, x, end: 'answered' });

const OPENING: readonly object[] = [
  { k: 'conn', s, event: 'opened', by: 'client' },
  { k: 'sess', s, era: 'legacy' },
  ...post('1', { id: 0, method: 'initialize', params: {} }),
  head('1'),
  say('1', { id: 0, result: {} }),
  over('1'),
  ...post('2', { method: 'notifications/initialized' }),
  head('2', 202),
  over('2'),
];

/** Events that follow each other, the first one after `after`. Gives their numbers. */
function chain(events: Event[], records: readonly object[], after: readonly number[] = []): number[] {
  return records.map((record, at) => {
    events.push({ record, after: at === 0 ? after : [events.length - 1] });
    return events.length - 1;
  });
}

const COUNT = 4;
const indexes = Array.from({ length: COUNT }, (_, at) => at);

/** Calls that are under way at once; `questions` of them are asked something before they are answered. */
function calls(questions: number): Event[] {
  const events: Event[] = [];
  const asks = indexes.map((at) =>
    chain(events, post(`1${at}`, { id: 3 + at, method: 'tools/call', params: { name: `t${at}` } })),
  );
  const asked = asks.map((numbers) => numbers[1] ?? 0);
  for (const at of indexes) {
    const x = `1${at}`;
    const [began = 0] = chain(events, [head(x)], asked);
    if (at >= questions) {
      chain(events, [say(x, { id: 3 + at, result: { at } }), over(x)], [began]);
      continue;
    }
    const [question = 0] = chain(events, [say(x, { id: 100 + at, method: 'sampling/createMessage' })], [began]);
    const answer = `2${at}`;
    const [, answered = 0] = chain(
      events,
      [...post(answer, { id: 100 + at, result: { at } }), head(answer, 202), over(answer)],
      [question],
    );
    chain(events, [say(x, { id: 3 + at, result: { at } }), over(x)], [answered]);
  }
  return events;
}

/** One call that asks several things at once. */
function oneThatAsks(): Event[] {
  const events: Event[] = [];
  const asked = chain(events, [
    ...post('10', { id: 3, method: 'tools/call', params: { name: 't' } }),
    head('10'),
    ...indexes.map((at) => say('10', { id: 100 + at, method: 'elicitation/create', params: { at } })),
  ]);
  const answers = indexes.map(
    (at) =>
      chain(
        events,
        [...post(`2${at}`, { id: 100 + at, result: { at } }), head(`2${at}`, 202), over(`2${at}`)],
        [asked.at(-1) ?? 0],
      )[1] ?? 0,
  );
  chain(events, [say('10', { id: 3, result: {} }), over('10')], answers);
  return events;
}

/** A server that asks for the roots as soon as there is a stream, and a client that looks around meanwhile. */
function rootsMeanwhile(): Event[] {
  const events: Event[] = [];
  const stream = chain(events, [
    { k: 'http', s, x: '3', from: 'client', method: 'GET', target: '/mcp', headers: {} },
    head('3'),
    say('3', { id: 50, method: 'roots/list' }),
  ]);
  chain(events, [...post('20', { id: 50, result: { roots: [] } }), head('20', 202), over('20')], [stream.at(-1) ?? 0]);
  chain(events, [
    ...post('10', { id: 3, method: 'tools/list' }),
    head('10'),
    say('10', { id: 3, result: {} }),
    over('10'),
  ]);
  return events;
}

/** One of the orders in which these can arrive; `picks` says which. */
function arrival(events: readonly Event[], picks: readonly number[]): object[] {
  const there = new Set<number>();
  const records: object[] = [];
  for (let step = 0; records.length < events.length; step += 1) {
    const ready = events.flatMap(({ after }, at) => (!there.has(at) && after.every((it) => there.has(it)) ? [at] : []));
    const next = ready[(picks[step % picks.length] ?? 0) % ready.length] ?? 0;
    there.add(next);
    records.push(events[next]?.record ?? {});
  }
  return records;
}

describe('the golden form', () => {
  it.each([
    ['calls that are under way at once', calls(0)],
    ['calls that are asked something each', calls(COUNT)],
    ['calls of which some are asked something', calls(2)],
    ['one call that asks several things at once', oneThatAsks()],
    ['a question on the standing stream while the client looks around', rootsMeanwhile()],
  ])('is the same in whatever order they arrive: %s', (_, events) => {
    const first = golden(...OPENING, ...arrival(events, [0]));
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 1000 }), { minLength: 8, maxLength: 40 }), (picks) => {
        expect(golden(...OPENING, ...arrival(events, picks))).toBe(first);
      }),
      { numRuns: 150 },
    );
  });

  it('takes time in proportion to what is under way at once', { timeout: 30_000 }, () => {
    const many = Array.from({ length: 4000 }, (_, at) => at);
    const asked = many.flatMap((at) => post(`a${at}`, { id: 4000 - at, method: 'tools/call', params: { name: 't' } }));
    const text = golden(
      ...asked,
      ...many.flatMap((at) => [say(`a${at}`, { id: 4000 - at, result: {} }), over(`a${at}`)]),
    );
    expect(text.split('\n')).toHaveLength(4000 * 4 + 3);
  });

  it('keeps what a later version added to records', () => {
    const later = { k: 'msg', s, x: 'a', from: 'client', later: { n: [1] }, m: { jsonrpc: '2.0', method: 'ping' } };
    const text = golden(later, { k: 'sooner', any: 1 });
    expect(text).toContain('"later":{"n":[1]},"m":{"jsonrpc"');
    const again = readTape(bytesOf(text), { name: 't', newDigest });
    expect(goldenOf(again, { newDigest }).lines.join('')).toBe(text);
  });

  it.each([
    ['{"k":"gap","lost":1e999,"why":"x"}', '"lost" of a gap record has to be a number that can be counted with'],
    ['{"k":"gap","lost":-1,"why":"x"}', '"lost" of a gap record has to be a whole number, 0 or more'],
    ['{"k":"gap","lost":0.5,"why":"x"}', '"lost" of a gap record has to be a whole number, 0 or more'],
    [
      '{"k":"conn","t":1e999,"s":"s1","event":"opened","by":"client"}',
      '"t" of a conn record has to be a number that can be counted with',
    ],
  ])('is not made of numbers that mean nothing: %s', (line, message) => {
    const tape = readTape(bytesOf(`{"k":"head","v":1,"form":"capture","requires":[]}\n${line}\n`), {
      name: 't',
      newDigest,
    });
    expect(tape.problems).toEqual([{ kind: 'invalid', line: 2, message }]);
  });

  it('says so when an editor put a byte order mark in front', () => {
    const bytes = bytesOf('\ufeff{"k":"head","v":1,"form":"capture","requires":[]}\n');
    expect(() => readTape(bytes, { name: 't', newDigest })).toThrow(/t:1: the file begins with a byte order mark/);
  });
});
