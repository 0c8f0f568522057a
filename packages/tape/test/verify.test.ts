import { ProxyError } from '@shadowcat/kernel';
import { ManualClock, settled } from '@shadowcat/testkit';
import { type JsonObject, META_VERSION, type Message, MODERN, readMessage } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { goldenOf } from '../src/golden.js';
import {
  type Connect,
  type ExchangeResult,
  flowsOfTapes,
  learn,
  proposalText,
  readPointer,
  readTape,
  type Tape,
  updatedTape,
  type Verification,
  type VerifyOptions,
  verifyExitCode,
  verifyTapes,
} from '../src/index.js';
import { NO_OVERLAY, type Overlay } from '../src/overlay.js';
import { bytesOf, call, newDigest, record, redactor, result, type TestClient } from './support/rig.js';
import { type Answers, legacyServer } from './support/servers.js';

type Live = (message: Message) => JsonObject;

/** A live server: answers by method, or by tool; what it was sent is kept. */
function server(answers: Readonly<Record<string, Live>>): { connect: Connect; sent: Message[] } {
  const sent: Message[] = [];
  const connect: Connect = async (ear) => ({
    secrets: [],
    listen: async () => undefined,
    send: async (message) => {
      sent.push(message);
      const params = message.value['params'] as JsonObject | undefined;
      const live = answers[`${message.method}:${String(params?.['name'])}`] ?? answers[message.method ?? ''];
      if (message.kind !== 'request') return { over: true };
      const answer = live?.(message) ?? result(message.id, `answer of ${message.method}`);
      ear.message(messageOf({ ...answer, id: message.id ?? null }));
      return { over: true };
    },
    sendBatch: noBatch,
    [Symbol.asyncDispose]: async () => undefined,
  });
  return { connect, sent };
}

/** No recorded client of this file sends batches. */
const noBatch = (): never => {
  throw new Error('nobody sends a batch');
};

function messageOf(value: JsonObject): Message {
  const message = readMessage(JSON.stringify(value));
  if (message === undefined) throw new Error('this is no message');
  return message;
}

const opening: Live = ({ id }) => ({
  jsonrpc: '2.0',
  id: id ?? null,
  result: {
    protocolVersion: '2025-11-25',
    capabilities: { tools: {} },
    serverInfo: { name: 'server', version: '2' },
  },
});

const options: VerifyOptions = { overlay: NO_OVERLAY, level: 'json', allowEffects: true, answerMs: 1000 };

function verify(
  tapes: readonly Tape[],
  answers: Readonly<Record<string, Live>>,
  given: Partial<VerifyOptions> & { readonly clock?: ManualClock } = {},
): Promise<Verification> & { readonly sent: Message[] } {
  const { connect, sent } = server({ initialize: opening, ...answers });
  const { clock = new ManualClock(), ...rest } = given;
  const { signal } = new AbortController();
  const run = verifyTapes(tapes, { ...options, ...rest }, { connect, redactor, clock, stop: signal });
  return Object.assign(run, { sent });
}

/** A session of calls, recorded. */
function recorded(answers: Answers, calls: readonly JsonObject[]): Promise<Tape[]> {
  return record(legacyServer(answers), async (client: TestClient) => {
    await client.open();
    for (const one of calls) await client.post(one);
  });
}

const tool = (structured: JsonObject, text = 'done') => ({
  content: [{ type: 'text', text }],
  structuredContent: structured,
});
const answering =
  (value: JsonObject): Live =>
  ({ id }) => ({ jsonrpc: '2.0', id: id ?? null, result: value });
const statuses = ({ results }: Verification): string[] => results.map(({ status }) => status);
const argumentsOf = (message: Message | undefined): unknown =>
  (message?.value['params'] as JsonObject | undefined)?.['arguments'];

describe('values that flow from answers into requests', () => {
  const handles = (handle: string): Record<string, Live> => ({
    'tools/call:open': answering(tool({ handle }, `opened ${handle} for you`)),
    'tools/call:use': answering(tool({}, `used ${handle}`)),
  });
  const calls = [call(1, 'open'), call(2, 'use', { handle: 'h1', note: 'mine-4711' })];

  it('are the live ones when the tape is played, also where they are short', async () => {
    const tapes = await recorded(handles('h1') as Answers, calls);
    const run = verify(tapes, handles('h7'));
    expect(statuses(await run)).toEqual(['match', 'match', 'match']);
    expect(argumentsOf(run.sent.at(-1))).toEqual({ handle: 'h7', note: 'mine-4711' });
  });

  it('are found with where they came from; what the client said first is its own', async () => {
    const tapes = await recorded(handles('h1') as Answers, [
      call(1, 'echo', { id: 'client-77a1' }),
      ...calls,
      call(3, 'echo', { id: 'client-77a1' }),
    ]);
    const found = flowsOfTapes(tapes).map(({ value, from, uses }) => [value, from.path.join('/'), uses.length]);
    expect(found).toEqual([['h1', 'result/structuredContent/handle', 1]]);
  });

  it.each([
    'us-east-1',
    'gpt-4o-mini',
    'v1.22.333',
    '1.2.3-beta4',
    '2026-01-05',
    '2026-01-05T10:00:00Z',
    'ada1815@example.org',
    '123456',
  ])('are not values that somebody chose: a change of %s is told', async (chosen) => {
    const answers = (value: string): Record<string, Live> => ({
      'tools/call:look': answering(tool({ found: value }, `there is ${value} here`)),
    });
    const tapes = await recorded(answers(chosen) as Answers, [call(1, 'look'), call(2, 'take', { what: chosen })]);
    expect(flowsOfTapes(tapes)).toEqual([]);
    expect(statuses(await verify(tapes, answers('something else')))).toEqual(['match', 'changed', 'match']);
  });

  it('are found in the middle of sentences, and in URIs', async () => {
    const said = (id: string): Record<string, Live> => ({
      'tools/call:create': answering({ content: [{ type: 'text', text: `Created note://${id}.` }] }),
    });
    const read: JsonObject = { jsonrpc: '2.0', id: 2, method: 'resources/read', params: { uri: 'note://n-8f3a21' } };
    const tapes = await recorded(said('n-8f3a21') as Answers, [
      call(1, 'create'),
      call(3, 'get', { id: 'n-8f3a21' }),
      read,
    ]);
    const run = verify(tapes, said('n-99bb00'));
    expect(statuses(await run)).toEqual(['match', 'match', 'match', 'match']);
    expect(argumentsOf(run.sent.at(-2))).toEqual({ id: 'n-99bb00' });
    expect(run.sent.at(-1)?.value['params']).toEqual({ uri: 'note://n-99bb00' });
  });

  it('never make a call one of another tool', async () => {
    const list = (...names: string[]): Live => answering({ tools: names.map((name) => ({ name, inputSchema: {} })) });
    const asked: JsonObject = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    const tapes = await recorded({ 'tools/list': list('tool-a1') as never }, [asked, call(2, 'tool-a1')]);
    const run = verify(tapes, { 'tools/list': list('tool-b2') });
    expect(statuses(await run)).toEqual(['match', 'changed', 'match']);
    expect(run.sent.at(-1)?.value['params']).toMatchObject({ name: 'tool-a1' });
  });

  it('leave a request unsent when the live server did not give them', async () => {
    const tapes = await recorded(handles('h1') as Answers, calls);
    const { results } = await verify(tapes, { ...handles('h7'), 'tools/call:open': answering(tool({})) });
    expect(results.map(({ status }) => status)).toEqual(['match', 'changed', 'skipped']);
    expect(results[2]?.why).toContain('/result/structuredContent/handle');
  });

  it('may be secrets: the live one is sent, and neither is shown', async () => {
    const login = (secret: string): Record<string, Live> => ({
      'tools/call:login': answering(tool({ apiToken: secret })),
      'tools/call:use': answering(tool({ password: 'other' }, `Bearer ${secret}`)),
    });
    const calls = [call(1, 'login'), call(2, 'use', { apiToken: 'tok-recorded-1234' })];
    const tapes = await recorded(login('tok-recorded-1234') as Answers, calls);
    expect(JSON.stringify(tapes)).not.toContain('tok-recorded-1234');
    const run = verify(tapes, login('tok-live-98765'));
    expect(statuses(await run)).toEqual(['match', 'match', 'match']);
    expect(argumentsOf(run.sent.at(-1))).toEqual({ apiToken: 'tok-live-98765' });
    const { results } = await verify(tapes, {
      'tools/call:login': answering(tool({ apiToken: 'tok-live-98765', more: 1 })),
    });
    expect(JSON.stringify(results.map(({ differences, update }) => [differences, update]))).not.toContain('tok-live');
  });

  it('carry the state of an operation in several requests (2026-07-28)', async () => {
    const meta = { [META_VERSION]: MODERN };
    const ask = (id: number, more: JsonObject = {}): JsonObject => ({
      ...call(id, 'book'),
      params: { name: 'book', arguments: {}, _meta: meta, ...more },
    });
    const wants = (requestState: string, key = `ask-${requestState}`): JsonObject => ({
      resultType: 'input_required',
      inputRequests: { [key]: { method: 'elicitation/create', params: { message: 'who?' } } },
      requestState,
    });
    const book =
      (state: string): Live =>
      ({ id, value }) => {
        const answered = (value['params'] as JsonObject)['requestState'];
        const asked = answered === undefined ? wants(state) : tool({ ok: answered === state });
        return { jsonrpc: '2.0', id: id ?? null, result: asked };
      };
    const retry = {
      requestState: 'state-one-1',
      inputResponses: { 'ask-state-one-1': { action: 'accept', content: {} } },
    };
    const tapes = await record(legacyServer({ 'tools/call:book': book('state-one-1') as never }), async (client) => {
      await client.post(ask(1));
      await client.post(ask(2, retry));
    });
    const run = verify(tapes, { 'tools/call:book': book('state-two-2') });
    expect(statuses(await run)).toEqual(['match', 'match']);
    expect(run.sent.at(-1)?.value['params']).toMatchObject({
      requestState: 'state-two-2',
      inputResponses: { 'ask-state-two-2': { action: 'accept' } },
    });
  });
});

describe('comparing answers', () => {
  const sum = (value: unknown, text = 'done'): Record<string, Live> => ({
    'tools/call:sum': ({ id }) => ({ jsonrpc: '2.0', id: id ?? null, result: tool({ sum: value as number }, text) }),
  });

  it('names line, pointer and both values of a change', async () => {
    const tapes = await recorded(sum(5) as Answers, [call(1, 'sum')]);
    const { results } = await verify(tapes, sum(6));
    const changed = results.find(({ status }) => status === 'changed');
    expect(changed?.line).toMatch(/^t1\.tape\.jsonl:\d+$/);
    expect(changed?.differences).toMatchObject([{ pointer: '/result/structuredContent/sum', recorded: 5, got: 6 }]);
    expect(verifyExitCode(results)).toBe(1);
  });

  it.each([
    ['json', 5, 6, ['match', 'changed']],
    ['shape', 5, 6, ['match', 'match']],
    ['shape', 5, '5', ['match', 'changed']],
    ['shape', 5, null, ['match', 'changed']],
  ] as const)('at level %s, %j and %j', async (level, one, other, expected) => {
    const tapes = await recorded(sum(one) as Answers, [call(1, 'sum')]);
    expect(statuses(await verify(tapes, sum(other), { level }))).toEqual(expected);
  });

  it('reads texts that are JSON as JSON, but for their bytes', async () => {
    const tapes = await recorded(sum(1, '{"a":1,"b":[2]}') as Answers, [call(1, 'sum')]);
    expect(statuses(await verify(tapes, sum(1, '{ "b": [2], "a": 1.0 }')))).toEqual(['match', 'match']);
    expect(statuses(await verify(tapes, sum(1, '{ "b": [2], "a": 1 }'), { level: 'bytes' }))).toEqual([
      'match',
      'changed',
    ]);
    const { results } = await verify(tapes, sum(1, '{"a":1,"b":[3]}'));
    expect(results[1]?.differences.map(({ pointer }) => pointer)).toEqual(['/result/content/0/text/b/0']);
  });

  it('does without an answer that is nested too deep, and goes on', async () => {
    const tapes = await recorded(sum(1) as Answers, [call(1, 'sum'), call(2, 'echo')]);
    const deep = JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`) as JsonObject[];
    const answers = { 'tools/call:sum': answering({ deep }) };
    const { results } = await verify(tapes, answers);
    expect(results.map(({ status }) => status)).toEqual(['match', 'missing', 'match']);
    expect(results[1]?.why).toContain('nested deeper');
  });

  it('tells an error from a result', async () => {
    const tapes = await recorded(sum(1) as Answers, [call(1, 'sum')]);
    const failing: Live = ({ id }) => ({ jsonrpc: '2.0', id: id ?? null, error: { code: -32603, message: 'broken' } });
    expect(statuses(await verify(tapes, { 'tools/call:sum': failing }))).toEqual(['match', 'error-shape']);
  });

  it('holds the server to its own outputSchema', async () => {
    const outputSchema = { type: 'object', properties: { sum: { type: 'number', minimum: 0 } }, required: ['sum'] };
    const list = answering({ tools: [{ name: 'sum', inputSchema: {}, outputSchema }] });
    const tapes = await recorded(sum(5) as Answers, [call(1, 'sum')]);
    const at = (value: unknown): Promise<Verification> =>
      verify(tapes, { ...sum(value), 'tools/list': list }, { level: 'contract' });
    expect(statuses(await at(99))).toEqual(['match', 'match']);
    const endless = { type: 'object', properties: { sum: { pattern: '^(a+)+$' } } };
    const hostile = answering({ tools: [{ name: 'sum', inputSchema: {}, outputSchema: endless }] });
    const answers = { ...sum(`${'a'.repeat(50)}!`), 'tools/list': hostile };
    expect(statuses(await verify(tapes, answers, { level: 'contract' }))).toEqual(['match', 'match']);
    const broken = await at(-1);
    expect(broken.results[1]?.differences[0]).toMatchObject({ pointer: '/result/structuredContent/sum', got: -1 });
  });

  it('leaves out what the overlay ignores, or normalises', async () => {
    const at = (text: string): Record<string, Live> => sum(1, text);
    const tapes = await recorded(at('2026-01-01T10:00:00Z') as Answers, [call(1, 'sum')]);
    const where = 'o.yaml:1:1';
    const ignore: Overlay = { ...NO_OVERLAY, ignore: [{ where, at: [['result', 'content', '*', 'text']] }] };
    const normalise: Overlay = { ...NO_OVERLAY, normalise: [{ where, as: 'timestamp' }] };
    const live = at('2026-03-03T11:11:11Z');
    expect(statuses(await verify(tapes, live))).toEqual(['match', 'changed']);
    expect(statuses(await verify(tapes, live, { overlay: ignore }))).toEqual(['match', 'match']);
    expect(statuses(await verify(tapes, live, { overlay: normalise }))).toEqual(['match', 'match']);
  });
});

describe('lists of what a server offers', () => {
  const offering = (...tools: readonly JsonObject[]): Record<string, Live> => ({ 'tools/list': answering({ tools }) });
  const list: JsonObject = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
  const [a, b, c] = ['a', 'b', 'c'].map((name) => ({ name, inputSchema: {} }));
  const changes = async (was: readonly JsonObject[], is: readonly JsonObject[], level: 'json' | 'shape' = 'json') => {
    const { results } = await verify(await recorded(offering(...was) as Answers, [list]), offering(...is), { level });
    return results[1]?.differences.map(({ pointer, got }) => `${pointer} ${got === undefined ? 'gone' : 'there'}`);
  };

  it('are compared name by name, whatever their order', async () => {
    if (a === undefined || b === undefined || c === undefined) throw new Error('there are three');
    expect(await changes([a, b, c], [c, a, b])).toEqual([]);
    expect(await changes([a, b, c], [b, c])).toEqual(['/result/tools/0 gone']);
    expect(await changes([b, c], [a, b, c])).toEqual(['/result/tools/2 there']);
    expect(await changes([a, b], [{ ...b, title: 'B' }, a])).toEqual(['/result/tools/1/title there']);
    expect(await changes([a, b, c], [b, c], 'shape')).toEqual(['/result/tools/0 gone']);
    expect(await changes([b, c], [a, b, c], 'shape')).toEqual([]);
  });
});

describe('a server that goes away in the middle', () => {
  it('is what the request that it left unanswered tells, and those behind it', async () => {
    const tapes = await recorded({}, [call(1, 'a'), call(2, 'b')]);
    const connect: Connect = async (ear) => ({
      secrets: [],
      listen: async () => undefined,
      send: async (message) => {
        if (message.method === 'initialize') ear.message(messageOf(opening(message)));
        if (message.method === 'tools/call') ear.lost(new ProxyError('child_exited', 'it exited with code 3'));
        return { over: false };
      },
      sendBatch: noBatch,
      [Symbol.asyncDispose]: async () => undefined,
    });
    const components = { connect, redactor, clock: new ManualClock(), stop: new AbortController().signal };
    const { results } = await verifyTapes(tapes, options, components);
    expect(results.map(({ status, why }) => `${status} ${why}`)).toEqual([
      'match undefined',
      'missing the server is gone: it exited with code 3',
      'skipped the server is gone: it exited with code 3',
    ]);
  });
});

describe('a run that is told to stop', () => {
  it('skips what was under way, and what was to come', async () => {
    const tapes = await recorded({}, [call(1, 'a'), call(2, 'b')]);
    const stop = new AbortController();
    const connect: Connect = async (ear) => ({
      secrets: [],
      listen: async () => undefined,
      send: async (message) => {
        if (message.method === 'initialize') ear.message(messageOf(opening(message)));
        if (message.method === 'tools/call') stop.abort();
        return { over: false };
      },
      sendBatch: noBatch,
      [Symbol.asyncDispose]: async () => undefined,
    });
    const components = { connect, redactor, clock: new ManualClock(), stop: stop.signal };
    const { results } = await verifyTapes(tapes, options, components);
    expect(results.map(({ status }) => status)).toEqual(['match', 'skipped', 'skipped']);
    expect(verifyExitCode(results)).toBe(4);
  });
});

describe('a server that never says anything', () => {
  it('is one that cannot be reached', async () => {
    const tapes = await recorded({}, [call(1, 'echo')]);
    const connect: Connect = async () => ({
      secrets: [],
      listen: async () => undefined,
      send: async () => ({ over: true, problem: 'HTTP 404' }),
      sendBatch: noBatch,
      [Symbol.asyncDispose]: async () => undefined,
    });
    const components = { connect, redactor, clock: new ManualClock(), stop: new AbortController().signal };
    await expect(verifyTapes(tapes, options, components)).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: 'the server does not answer as an MCP server: HTTP 404',
    });
  });
});

describe('tools that may change something', () => {
  it('are not called unless that is allowed', async () => {
    const tools = [
      { name: 'read', annotations: { readOnlyHint: true }, inputSchema: {} },
      { name: 'write', inputSchema: {} },
    ];
    const tapes = await recorded({}, [call(1, 'read'), call(2, 'write'), call(3, 'hidden')]);
    const run = verify(tapes, { 'tools/list': answering({ tools }) }, { allowEffects: false });
    const { results } = await run;
    expect(results.map(({ status }) => status)).toEqual(['match', 'match', 'blocked', 'blocked']);
    expect(results.map(({ why }) => why?.split(':')[0]).slice(2)).toEqual([
      'the tool does not say that it is read-only',
      'the server does not list this tool, so nothing says that it is read-only',
    ]);
    expect(verifyExitCode(results)).toBe(4);
    expect(run.sent.filter(({ text }) => text.includes('"write"'))).toEqual([]);
  });
});

describe('a tool that says that it is read-only since the recording', () => {
  it('is not called: somebody has to look at that first', async () => {
    const list = (readOnlyHint: boolean): Live =>
      answering({ tools: [{ name: 'wipe', inputSchema: {}, annotations: { readOnlyHint } }] });
    const asked: JsonObject = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    const tapes = await recorded({ 'tools/list': list(false) as never }, [asked, call(2, 'wipe')]);
    const run = verify(tapes, { 'tools/list': list(true) }, { allowEffects: false });
    expect(statuses(await run)).toEqual(['match', 'changed', 'blocked']);
    expect((await run).results[2]?.why).toContain('did not when this was recorded');
    expect(run.sent.filter(({ text }) => text.includes('"wipe"'))).toEqual([]);
  });
});

describe("the server's questions", () => {
  const question = (id: number): JsonObject => ({
    jsonrpc: '2.0',
    id,
    method: 'sampling/createMessage',
    params: { messages: [], maxTokens: 5 },
  });
  const tapesWith = (): Promise<Tape[]> => {
    const answer = Promise.withResolvers<void>();
    const asking = async function* (message: Message): AsyncGenerator<JsonObject> {
      yield question(900);
      await answer.promise;
      yield result(message.id, 'done');
    };
    const upstream = legacyServer({
      'tools/call:think': asking,
      '(response)': () => {
        answer.resolve();
        return {};
      },
    });
    return record(upstream, async (client) => {
      await client.open();
      const call1 = client.post(call(1, 'think'));
      await settled();
      await client.post({ jsonrpc: '2.0', id: 900, result: { role: 'assistant', model: 'm', content: [] } });
      await call1;
    });
  };

  it('are answered as they were on the tape', async () => {
    const answers: Message[] = [];
    const connect: Connect = async (ear) => {
      let asked: Message | undefined;
      return {
        secrets: [],
        listen: async () => undefined,
        send: async (message) => {
          if (message.method === 'initialize') ear.message(messageOf(opening(message)));
          if (message.method === 'tools/call') {
            asked = message;
            ear.message(messageOf(question(77)));
          }
          if (message.kind === 'response') {
            answers.push(message);
            ear.message(messageOf(result(asked?.id, 'done')));
          }
          return { over: message.method !== 'tools/call' };
        },
        sendBatch: noBatch,
        [Symbol.asyncDispose]: async () => undefined,
      };
    };
    const stop = new AbortController().signal;
    const components = { connect, redactor, clock: new ManualClock(), stop };
    const { results } = await verifyTapes(await tapesWith(), options, components);
    expect(results.map(({ status }) => status)).toEqual(['match', 'match']);
    expect(answers.map(({ value }) => [value['id'], (value['result'] as JsonObject)['model']])).toEqual([[77, 'm']]);
  });

  it('of a request that was not sent are not missed', async () => {
    const { results } = await verify(
      await tapesWith(),
      { 'tools/list': answering({ tools: [] }) },
      { allowEffects: false },
    );
    expect(results.map(({ status }) => status)).toEqual(['match', 'blocked']);
    expect(verifyExitCode(results)).toBe(4);
  });

  it('are missed when they do not come', async () => {
    const clock = new ManualClock();
    const run = verify(await tapesWith(), { 'tools/call:think': ({ id }) => result(id, 'done') }, { clock });
    await settled();
    await clock.advance(3000);
    const { results } = await run;
    expect(results.map(({ status, method }) => `${status} ${method}`)).toEqual([
      'match initialize',
      'match tools/call',
      'missing sampling/createMessage',
    ]);
  });

  it('are left out by the overlay when it ignores their parameters', async () => {
    const ignore: Overlay['ignore'] = [{ where: 'o:1:1', method: 'sampling/createMessage', at: [['params']] }];
    const overlay = { ...NO_OVERLAY, ignore };
    const clock = new ManualClock();
    const answers: Record<string, Live> = { 'tools/call:think': ({ id }) => result(id, 'done') };
    const run = verify(await tapesWith(), answers, { clock, overlay });
    await settled();
    await clock.advance(3000);
    expect(statuses(await run)).toEqual(['match', 'match']);
  });
});

describe('learning what varies', () => {
  const now = (text: string, fixed: string): Record<string, Live> => ({
    'tools/call:now': answering(tool({ fixed }, text)),
  });

  it('proposes what differs between runs or is another time, and nothing that was changed for good', async () => {
    const tapes = await recorded(now('2026-01-01T10:00:00Z', 'old') as Answers, [call(1, 'now')]);
    const runs = [
      await verify(tapes, now('2026-02-02T10:00:00Z', 'new')),
      await verify(tapes, now('2026-02-02T10:00:00Z', 'new')),
    ];
    const proposal = learn(
      runs.map(({ results }) => results),
      [],
    );
    const rule = { method: 'tools/call', target: 'now', at: ['/result/content/0/text'] };
    expect(proposal).toEqual({ ignore: [], normalise: [{ as: 'timestamp', ...rule }], bind: [] });
    expect(proposalText(proposal, { by: 'a test', schema: './overlay.schema.json' })).toBe(
      `# yaml-language-server: $schema=./overlay.schema.json
# Proposed by a test. Look at each rule before you use it: what is ignored is not verified.
normalise:
  - { as: timestamp, method: "tools/call", target: "now", at: ["/result/content/0/text"] }
`,
    );
    const moody = [
      await verify(tapes, now('2026-01-01T10:00:00Z', 'a')),
      await verify(tapes, now('2026-01-01T10:00:00Z', 'b')),
    ];
    expect(
      learn(
        moody.map(({ results }) => results),
        [],
      ).ignore.flatMap(({ at }) => at),
    ).toEqual(['/result/structuredContent/fixed']);
  });
});

describe('learning kinds of values', () => {
  const made = (text: string, at: unknown = 1): Record<string, Live> => ({
    'tools/call:make': answering(tool({ at: at as number }, text)),
  });
  const proposed = async (recordedText: [string, unknown?], live: [string, unknown?][]) => {
    const tapes = await recorded(made(...recordedText) as Answers, [call(1, 'make')]);
    const runs: (readonly ExchangeResult[])[] = [];
    for (const one of live) runs.push((await verify(tapes, made(...one))).results);
    const { ignore, normalise } = learn(runs, []);
    const places = (rules: readonly { readonly at: readonly string[] }[]): string[] => rules.flatMap(({ at }) => at);
    return {
      ignore: places(ignore),
      normalise: normalise.map(({ as, at }) => `${as} ${at.join()}`),
      overlay: normalise.map(({ at, ...rule }) => ({ ...rule, at: at.map((place) => readPointer(place) ?? []) })),
      tapes,
    };
  };
  const uuid = (digit: string): string => `${digit.repeat(8)}-1111-4111-8111-111111111111`;
  const text = '/result/content/0/text';

  it.each([
    ['UUIDs', [`id ${uuid('a')}`], [[`id ${uuid('b')}`], [`id ${uuid('c')}`]], [`uuid ${text}`], []],
    [
      'temporary paths',
      ['in /var/tmp/a1/x'],
      [['in /var/tmp/b2/x'], ['in /var/tmp/c3/x']],
      [`temporary-path ${text}`],
      [],
    ],
    ['numbers that are times', ['x', 1767261600], [['x', 1767261601]], ['timestamp /result/structuredContent/at'], []],
    ['nothing else', [`id ${uuid('a')}`], [[`id ${uuid('b')}`], ['no id']], [], [text]],
    ['no change for good', [`id ${uuid('a')}`], [[`key ${uuid('b')}`], [`key ${uuid('c')}`]], [], [text]],
  ] as const)('proposes to normalise %s', async (_, was, live, normalise, ignore) => {
    expect(
      await proposed(
        [...was],
        live.map((one) => [...one]),
      ),
    ).toMatchObject({ normalise, ignore });
  });

  it('proposes both rules for a text with values of two kinds, and they suffice', async () => {
    const at = (digit: string, hour: number): [string] => [`${uuid(digit)} at 2026-01-01T0${hour}:00:00Z`];
    const { normalise, overlay, tapes } = await proposed(at('a', 1), [at('b', 2), at('c', 3)]);
    expect(normalise).toEqual([`uuid ${text}`, `timestamp ${text}`]);
    const rules = overlay.map(({ target, ...rule }) => ({ ...rule, where: 'o.yaml:1:1', target: target ?? '' }));
    const run = await verify(tapes, made(...at('d', 4)), { overlay: { ...NO_OVERLAY, normalise: rules } });
    expect(statuses(run)).toEqual(['match', 'match']);
  });
});

describe('notifications', () => {
  const say = (method: string, params?: JsonObject): JsonObject => ({
    jsonrpc: '2.0',
    method: `notifications/${method}`,
    ...(params && { params }),
  });
  const log = (data: string): JsonObject => say('message', { level: 'info', data });
  const step = (progress: number, progressToken = 'p'): JsonObject => say('progress', { progressToken, progress });
  const working = (said: readonly JsonObject[]): Promise<Tape[]> =>
    recorded(
      {
        'tools/call:work': async function* (message: Message): AsyncGenerator<JsonObject> {
          yield* said;
          yield result(message.id, 'done');
        },
      },
      [call(1, 'work', {}, { progressToken: 'p' })],
    );
  const against = async (
    tapes: readonly Tape[],
    said: readonly JsonObject[],
    { after = [], ...given }: Partial<VerifyOptions> & { readonly after?: readonly JsonObject[] } = {},
  ): Promise<readonly ExchangeResult[]> => {
    const connect: Connect = async (ear) => ({
      secrets: [],
      listen: async () => undefined,
      send: async (message) => {
        if (message.method === 'initialize') ear.message(messageOf(opening(message)));
        if (message.method === 'tools/call') {
          for (const one of said) ear.message(messageOf(one));
          ear.message(messageOf(result(message.id, 'done')));
          for (const one of after) ear.message(messageOf(one));
        }
        return { over: true };
      },
      sendBatch: noBatch,
      [Symbol.asyncDispose]: async () => undefined,
    });
    const clock = new ManualClock();
    const stop = new AbortController().signal;
    const run = verifyTapes(tapes, { ...options, ...given }, { connect, redactor, clock, stop });
    await settled();
    await clock.advance(3000);
    return (await run).results.slice(2);
  };
  const told = (results: readonly ExchangeResult[]): string[] =>
    results.map(({ status, method, differences }) => {
      return [status, method.slice('notifications/'.length), ...differences.map(({ pointer }) => pointer)].join(' ');
    });

  it.each([
    ['the same ones', [step(1), log('a'), step(2)], [step(1), log('a'), step(2)], []],
    ['others between them', [step(1), log('a'), step(2)], [log('a'), step(1), step(2)], []],
    ['log messages in another order', [log('a'), log('b')], [log('b'), log('a')], []],
    ['progress in another order', [step(1), step(2)], [step(2), step(1)], ['changed progress']],
    ['one that is gone', [step(1), step(2), step(3)], [step(1), step(3)], ['missing progress /params']],
    ['one more', [log('a')], [log('a'), log('b')], ['extra message /params']],
    ['another text', [log('a'), log('b')], [log('a'), log('c')], ['changed message /params/data']],
    [
      'another resource',
      [say('resources/updated', { uri: 'a:1' })],
      [say('resources/updated', { uri: 'a:2' })],
      ['missing resources/updated /params', 'extra resources/updated /params'],
    ],
    ['a list that no longer changes', [say('tools/list_changed')], [], ['missing tools/list_changed /params']],
    ['a list that changes now', [], [say('tools/list_changed')], ['extra tools/list_changed /params']],
  ] as const)('%s', async (_, was, is, expected) => {
    expect(told(await against(await working(was), is))).toEqual(expected);
  });

  it('may come after the last answer: nobody knows whether the recorded client had stayed for them', async () => {
    expect(told(await against(await working([]), [], { after: [log('a')] }))).toEqual([]);
    expect(told(await against(await working([log('a')]), [], { after: [log('a')] }))).toEqual([]);
  });

  it('have the line where they were recorded, or that of the request that they came of', async () => {
    const [tape] = await working([log('a')]);
    const lineOf = (text: string): number =>
      tape?.records.find((record) => 'text' in record && record.text.includes(text))?.line ?? 0;
    if (tape === undefined) throw new Error('there is no tape');
    expect((await against([tape], []))[0]?.lineNumber).toBe(lineOf('notifications/message'));
    expect((await against([tape], [log('a'), log('b')]))[0]?.lineNumber).toBe(lineOf('"tools/call"'));
  });

  it('count less at level shape, and not at level contract', async () => {
    const tapes = await working([step(1), step(2), log('a')]);
    expect(told(await against(tapes, [step(7), log('b'), log('c')], { level: 'shape' }))).toEqual([]);
    const other = [step(7), say('message', { level: 'info', data: 5 })];
    expect(told(await against(tapes, other, { level: 'shape' }))).toEqual(['changed message /params/data']);
    expect(told(await against(tapes, [log('a')], { level: 'shape' }))).toEqual(['missing progress /params']);
    expect(told(await against(tapes, [], { level: 'contract' }))).toEqual([]);
  });

  it('are left out by the overlay, in part or as a whole', async () => {
    const tapes = await working([log('a'), log('b')]);
    const ignoring = (place: string): Partial<VerifyOptions> => ({
      overlay: {
        ...NO_OVERLAY,
        ignore: [{ where: 'o.yaml:1:1', method: 'notifications/message', at: [readPointer(place) ?? []] }],
      },
    });
    expect(told(await against(tapes, [log('c'), log('d')], ignoring('/params/data')))).toEqual([]);
    expect(told(await against(tapes, [log('c')], ignoring('/params/data')))).toEqual(['missing message /params']);
    expect(told(await against(tapes, [], ignoring('/params')))).toEqual([]);
    expect(told(await against(tapes, [log('x'), log('y'), log('z')], ignoring('/params')))).toEqual([]);
  });

  it('that come in some runs only are proposed to be ignored', async () => {
    const tapes = await working([log('a')]);
    const runs = [await against(tapes, [log('a'), log('b')]), await against(tapes, [log('a')])];
    expect(learn(runs, []).ignore).toEqual([{ method: 'notifications/message', target: undefined, at: ['/params'] }]);
  });

  it('of a request that was not sent are not missed', async () => {
    const results = await against(await working([step(1), log('a')]), [], { allowEffects: false });
    expect(told(results)).toEqual([]);
  });
});

describe('updating a tape', () => {
  it('keeps a golden tape golden: the answer and the digest are other lines, nothing else', async () => {
    const sum = (value: number): Record<string, Live> => ({ 'tools/call:sum': answering(tool({ sum: value })) });
    const [capture] = await recorded(sum(5) as Answers, [call(1, 'sum'), call(2, 'echo')]);
    if (capture === undefined) throw new Error('there is no tape');
    const { lines } = goldenOf(capture, { newDigest });
    const tape = readTape(bytesOf(lines.join('')), { name: 'g.tape.jsonl', newDigest });
    const { results } = await verify([tape], sum(6));
    const source = lines.map((line) => line.trimEnd());
    const updated = updatedTape(tape, results, { source, newDigest, keyId: 'key-1' });
    const differ = lines.flatMap((line, index) => (updated?.lines[index] === line ? [] : [index + 1]));
    expect(updated?.lines.length).toBe(lines.length);
    expect(differ).toEqual([...(updated?.changed ?? []), lines.length]);
    const again = readTape(bytesOf(updated?.lines.join('') ?? ''), { name: 'g.tape.jsonl', newDigest });
    expect(again.problems).toEqual([]);
    expect(statuses(await verify([again], sum(6)))).toEqual(['match', 'match', 'match']);
    expect(
      updatedTape(again, (await verify([again], sum(6))).results, { source, newDigest, keyId: 'key-1' }),
    ).toBeUndefined();
  });

  it('leaves what is ignored, normalised or only spelled otherwise as it was', async () => {
    const made = (at: string, id: string, sum: number, extra: JsonObject = {}): Record<string, Live> => ({
      'tools/call:make': answering(tool({ id, sum, fixed: 1.5, ...extra }, JSON.stringify({ at, sum }))),
    });
    const uuid = (digit: string): string => `${digit.repeat(8)}-1111-4111-8111-111111111111`;
    const [tape] = await recorded(made('10:00', uuid('a'), 5) as Answers, [call(1, 'make')]);
    if (tape === undefined) throw new Error('there is no tape');
    const overlay: Overlay = {
      ...NO_OVERLAY,
      ignore: [{ where: 'o:1:1', at: [['result', 'content', '*', 'text', 'at']] }],
      normalise: [{ where: 'o:2:1', as: 'uuid' }],
    };
    const { results } = await verify([tape], made('11:11', uuid('b'), 6, { more: true }), { overlay });
    const update = JSON.parse(results[1]?.update ?? '{}') as { result: object };
    const expected = tool({ id: uuid('a'), sum: 6, fixed: 1.5, more: true }, '{"at":"10:00","sum":6}');
    expect(update.result).toEqual(expected);
  });

  it('keeps tools with their names when one is gone', async () => {
    const list = (...names: string[]): Live =>
      answering({ tools: names.map((name) => ({ name, description: `of ${name}`, inputSchema: {} })) });
    const asked: JsonObject = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    const tapes = await recorded({ 'tools/list': list('a', 'b') as never }, [asked]);
    const overlay = { ...NO_OVERLAY, ignore: [{ where: 'o:1:1', at: [['result', 'tools', '*', 'description']] }] };
    const { results } = await verify(tapes, { 'tools/list': list('b') }, { overlay });
    expect(JSON.parse(results[1]?.update ?? '')).toMatchObject({
      result: { tools: [{ name: 'b', description: 'of b' }] },
    });
  });
});
