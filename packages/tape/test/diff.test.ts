import type { JsonObject, Message } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { diffTapes, type Tape } from '../src/index.js';
import { call, record, result } from './support/rig.js';
import { legacyServer } from './support/servers.js';

interface Server {
  readonly tools?: readonly object[];
  readonly prompts?: readonly object[];
  readonly text?: string;
}

async function tapeOf(server: Server, calls: readonly JsonObject[] = [call(2, 'echo', { a: 1 })]): Promise<Tape> {
  const { tools = [], prompts = [], text = 'same' } = server;
  const handler = legacyServer({
    'tools/list': ({ id }) => ({ jsonrpc: '2.0', id, result: { tools } }) as JsonObject,
    'prompts/list': ({ id }) => ({ jsonrpc: '2.0', id, result: { prompts } }) as JsonObject,
    'tools/call': ({ id }) => result(id, text),
  });
  const [tape] = await record(handler, async (client) => {
    await client.open();
    await client.post({ jsonrpc: '2.0', id: 10, method: 'tools/list' });
    await client.post({ jsonrpc: '2.0', id: 11, method: 'prompts/list' });
    for (const request of calls) await client.post(request);
    await client.end();
  });
  if (tape === undefined) throw new Error('nothing was recorded');
  return tape;
}

const tool = (inputSchema: object, more: object = {}) => ({
  name: 'read',
  inputSchema: { type: 'object', ...inputSchema },
  ...more,
});
async function surface(before: object[], after: object[]): Promise<string[]> {
  const diff = diffTapes(await tapeOf({ tools: before }), await tapeOf({ tools: after }));
  expect(diff.equal).toBe(diff.surface.length === 0);
  return diff.surface.map(({ rating, name, at }) => `${rating} ${name}${at}`);
}

describe('the difference of two tapes', () => {
  it('is none for the same conversation with other ids, in another order', async () => {
    const [a, b] = [call(2, 'echo', { a: 1 }), call(3, 'other')];
    expect(
      diffTapes(
        await tapeOf({}, [a, b]),
        await tapeOf({}, [
          { ...b, id: 50 },
          { ...a, id: 51 },
        ]),
      ),
    ).toEqual({
      equal: true,
      surface: [],
      operations: [],
    });
  });

  it('is none where only the state of an operation in several requests is another one', async () => {
    const stated = async (state: string): Promise<Tape> => {
      const book = ({ id, value }: Message): JsonObject => {
        const { requestState } = value['params'] as JsonObject;
        if (requestState !== undefined) return result(id, 'done');
        const asked = { resultType: 'input_required', inputRequests: {}, requestState: state };
        return { jsonrpc: '2.0', id: id ?? null, result: asked };
      };
      const [tape] = await record(legacyServer({ 'tools/call': book }), async (client) => {
        await client.open();
        await client.post(call(1, 'book'));
        const params = { name: 'book', arguments: {}, requestState: state, inputResponses: {} };
        await client.post({ jsonrpc: '2.0', id: 2, method: 'tools/call', params });
      });
      if (tape === undefined) throw new Error('nothing was recorded');
      return tape;
    };
    expect(diffTapes(await stated('v1.aaaa'), await stated('state-1')).equal).toBe(true);
  });

  it('names the place in an answer that is another one', async () => {
    const { equal, operations } = diffTapes(await tapeOf({ text: 'a' }), await tapeOf({ text: 'b' }));
    expect(equal).toBe(false);
    expect(operations).toMatchObject([
      {
        kind: 'answered',
        method: 'tools/call',
        target: 'echo',
        differences: [{ pointer: '/content/0/text', recorded: 'a', got: 'b' }],
      },
    ]);
  });

  it('tells other parameters from operations that are only on one tape', async () => {
    const before = await tapeOf({}, [call(2, 'echo', { a: 1 }), call(3, 'gone')]);
    const after = await tapeOf({}, [call(2, 'new'), call(3, 'echo', { a: 2 })]);
    expect(
      diffTapes(before, after).operations.map(({ kind, target, differences }) => ({ kind, target, differences })),
    ).toEqual(
      expect.arrayContaining([
        { kind: 'asked', target: 'echo', differences: [{ pointer: '/arguments/a', recorded: 1, got: 2 }] },
        { kind: 'removed', target: 'gone', differences: [] },
        { kind: 'added', target: 'new', differences: [] },
      ]),
    );
  });
});

describe('what a server says of its own accord', () => {
  const said = async (...messages: readonly JsonObject[]): Promise<Tape> => {
    const working = async function* (message: Message): AsyncGenerator<JsonObject> {
      for (const one of messages) yield { jsonrpc: '2.0', ...one };
      yield result(message.id, 'done');
    };
    const [tape] = await record(legacyServer({ 'tools/call': working }), async (client) => {
      await client.open();
      await client.post(call(1, 'work', {}, { progressToken: `token-${Math.random()}` }));
    });
    if (tape === undefined) throw new Error('nothing was recorded');
    return tape;
  };
  const log = (data: string): JsonObject => ({ method: 'notifications/message', params: { level: 'info', data } });

  it('is compared by what it says, in any order', async () => {
    expect(diffTapes(await said(log('a'), log('b')), await said(log('b'), log('a'))).equal).toBe(true);
    const { operations } = diffTapes(await said(log('a'), log('b')), await said(log('b'), log('c'), log('d')));
    expect(operations).toMatchObject([
      { kind: 'said', differences: [{ pointer: '/params/data', recorded: 'a', got: 'c' }] },
      { kind: 'said', method: 'notifications/message', before: undefined, after: expect.any(Number) },
    ]);
  });
});

describe('changes of what a server offers are rated', () => {
  const text = { type: 'string' };
  it.each<[string, object[], object[], string[]]>([
    ['a tool that is gone', [tool({})], [], ['breaking read']],
    ['a new tool', [], [tool({})], ['minor read']],
    [
      'a new required parameter',
      [tool({})],
      [tool({ properties: { p: text }, required: ['p'] })],
      ['breaking read/inputSchema/properties/p'],
    ],
    [
      'a new optional parameter',
      [tool({})],
      [tool({ properties: { p: text } })],
      ['minor read/inputSchema/properties/p'],
    ],
    [
      'a parameter that is gone',
      [tool({ properties: { p: text } })],
      [tool({})],
      ['breaking read/inputSchema/properties/p'],
    ],
    [
      'a parameter that is required now',
      [tool({ properties: { p: text } })],
      [tool({ properties: { p: text }, required: ['p'] })],
      ['breaking read/inputSchema/properties/p'],
    ],
    [
      'a narrower type',
      [tool({ properties: { p: { type: ['string', 'null'] } } })],
      [tool({ properties: { p: text } })],
      ['breaking read/inputSchema/properties/p/type'],
    ],
    [
      'a wider type',
      [tool({ properties: { p: { type: 'integer' } } })],
      [tool({ properties: { p: { type: 'number' } } })],
      ['minor read/inputSchema/properties/p/type'],
    ],
    [
      'a value that is not allowed any more',
      [tool({ properties: { p: { enum: ['a', 'b'] } } })],
      [tool({ properties: { p: { enum: ['a'] } } })],
      ['breaking read/inputSchema/properties/p/enum'],
    ],
    [
      'a bound',
      [tool({ properties: { p: text } })],
      [tool({ properties: { p: { ...text, maxLength: 5 } } })],
      ['breaking read/inputSchema/properties/p/maxLength'],
    ],
    [
      'a bound that allows more',
      [tool({ properties: { p: { ...text, maxLength: 5, minLength: 2 } } })],
      [tool({ properties: { p: { ...text, maxLength: 6 } } })],
      ['minor read/inputSchema/properties/p/maxLength', 'minor read/inputSchema/properties/p/minLength'],
    ],
    [
      'an answer that may be longer',
      [tool({}, { outputSchema: { properties: { p: { ...text, maxLength: 5 } } } })],
      [tool({}, { outputSchema: { properties: { p: text } } })],
      ['dangerous read/outputSchema/properties/p/maxLength'],
    ],
    [
      'no more parameters than it describes',
      [tool({})],
      [tool({ additionalProperties: false })],
      ['breaking read/inputSchema/additionalProperties'],
    ],
    [
      'more parameters than it describes',
      [tool({ additionalProperties: false })],
      [tool({ additionalProperties: true })],
      ['minor read/inputSchema/additionalProperties'],
    ],
    [
      'items of one kind only',
      [tool({ properties: { p: { type: 'array' } } })],
      [tool({ properties: { p: { type: 'array', items: text } } })],
      ['breaking read/inputSchema/properties/p/items'],
    ],
    [
      'items of another kind',
      [tool({ properties: { p: { type: 'array', items: text } } })],
      [tool({ properties: { p: { type: 'array', items: { type: 'number' } } } })],
      ['breaking read/inputSchema/properties/p/items/type'],
    ],
    [
      'a parameter that may not be given',
      [tool({ properties: { p: true } })],
      [tool({ properties: { p: false } })],
      ['breaking read/inputSchema/properties/p'],
    ],
    [
      'a required parameter that is not described',
      [tool({})],
      [tool({ required: ['p'] })],
      ['breaking read/inputSchema/required'],
    ],
    [
      'another default',
      [tool({ properties: { p: { ...text, default: 'a' } } })],
      [tool({ properties: { p: { ...text, default: 'b' } } })],
      ['dangerous read/inputSchema/properties/p/default'],
    ],
    [
      'a tool that is destructive now',
      [tool({}, { annotations: { destructiveHint: false } })],
      [tool({}, { annotations: { destructiveHint: true } })],
      ['dangerous read/annotations/destructiveHint'],
    ],
    [
      'a description',
      [tool({}, { description: 'a' })],
      [tool({}, { description: 'b' })],
      ['dangerous read/description'],
    ],
    [
      'a promise that is not given any more',
      [tool({}, { annotations: { readOnlyHint: true } })],
      [tool({})],
      ['dangerous read/annotations/readOnlyHint'],
    ],
    [
      'a new promise',
      [tool({})],
      [tool({}, { annotations: { readOnlyHint: true } })],
      ['minor read/annotations/readOnlyHint'],
    ],
    [
      'an answer without a property',
      [tool({}, { outputSchema: { properties: { p: text } } })],
      [tool({}, { outputSchema: {} })],
      ['breaking read/outputSchema/properties/p'],
    ],
    [
      'nothing but the order of keys',
      [tool({ properties: { p: text, q: text } })],
      [tool({ properties: { q: text, p: text } })],
      [],
    ],
  ])('%s', async (_, before, after, expected) => {
    const found = await surface(before, after);
    expect(found).toEqual(expected);
  });

  it('name by name, so that one that is gone moves no other', async () => {
    const named = (name: string): object => tool({}, { name });
    const [a, b] = [await tapeOf({ tools: [named('a'), named('b')] }), await tapeOf({ tools: [named('b')] })];
    expect(diffTapes(a, b).operations.flatMap(({ differences }) => differences.map(({ pointer }) => pointer))).toEqual([
      '/tools/0',
    ]);
  });

  it('but not where a schema says what was meant anyway', async () => {
    const [before, after] = [tool({}), tool({ additionalProperties: true })];
    expect(diffTapes(await tapeOf({ tools: [before] }), await tapeOf({ tools: [after] })).surface).toEqual([]);
  });

  it('and of a tool that is gone, what is its new name', async () => {
    const [before, after] = [tool({ properties: { p: text } }), tool({ properties: { p: text } }, { name: 'fetch' })];
    const { surface: found } = diffTapes(await tapeOf({ tools: [before] }), await tapeOf({ tools: [after] }));
    expect(found.map(({ message }) => message)).toEqual(['the tool is gone; fetch may be its new name', 'a new tool']);
  });

  it('also of prompts', async () => {
    const prompt = (required: boolean) => ({ name: 'p', arguments: [{ name: 'a', required }] });
    const diff = diffTapes(await tapeOf({ prompts: [prompt(false)] }), await tapeOf({ prompts: [prompt(true)] }));
    expect(diff.surface).toMatchObject([{ rating: 'breaking', kind: 'prompt', name: 'p', at: '/arguments/a' }]);
  });
});
