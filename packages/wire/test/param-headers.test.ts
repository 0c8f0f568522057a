import { Body, Context, type Exchange, type Handler, type HeaderMap, reply } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { classify } from '../src/classify.js';
import { jsonFraming } from '../src/json-framing.js';
import { ParamHeaders } from '../src/param-headers.js';
import { readMessage } from '../src/read-messages.js';
import { callSlot, peerSlot } from '../src/slots.js';
import { toolParamHeaders } from '../src/tool-param-headers.js';

const TOOLS = {
  tools: [
    {
      name: 'move',
      inputSchema: {
        type: 'object',
        properties: {
          region: { type: 'string', 'x-mcp-header': 'Region' },
          level: { type: 'integer', 'x-mcp-header': 'Level' },
          deep: { type: 'object', properties: { flag: { type: 'boolean', 'x-mcp-header': 'Flag' } } },
          other: { type: 'string' },
        },
      },
    },
    { name: 'plain', inputSchema: { type: 'object', properties: { region: { type: 'string' } } } },
  ],
};

const known = new ParamHeaders();
known.learn(TOOLS);

describe('ParamHeaders', () => {
  const cases: readonly [what: string, args: object, headers: HeaderMap, ok: boolean][] = [
    ['equal texts', { region: 'eu' }, { 'mcp-param-region': 'eu' }, true],
    ['an encoded text', { region: 'ü' }, { 'mcp-param-region': '=?base64?w7w=?=' }, true],
    [
      'a text that only begins like an encoded one',
      { region: '=?base64?x' },
      { 'mcp-param-region': '=?base64?x' },
      true,
    ],
    ['another text', { region: 'eu' }, { 'mcp-param-region': 'us' }, false],
    ['bad padding', { region: 'Hello' }, { 'mcp-param-region': '=?base64?SGVsbG8?=' }, false],
    [
      'characters outside of the alphabet',
      { region: 'Hello' },
      { 'mcp-param-region': '=?base64?SGVs!!!bG8=?=' },
      false,
    ],
    ['a header that is missing', { region: 'eu' }, {}, false],
    ['a header that came twice', { region: 'eu' }, { 'mcp-param-region': ['eu', 'eu'] }, false],
    ['numbers that are equal', { level: 42 }, { 'mcp-param-level': '42.0' }, true],
    ['numbers that differ', { level: 42 }, { 'mcp-param-level': '43' }, false],
    ['a number that is no decimal', { level: 16 }, { 'mcp-param-level': '0x10' }, false],
    ['a nested argument', { deep: { flag: true } }, { 'mcp-param-flag': 'true' }, true],
    ['a nested argument without its header', { deep: { flag: true } }, {}, false],
    ['a header without its argument', {}, { 'mcp-param-region': 'eu' }, true],
    ['null', { region: null }, {}, true],
    ['headers that no schema has', { other: 'x' }, { 'mcp-param-other': 'y' }, true],
  ];
  it.each(cases)('judges %s', (_what, args, headers, ok) => {
    const problem = known.check(headers, { name: 'move', arguments: args as never });
    expect(problem?.code).toBe(ok ? undefined : 'header_mismatch');
  });

  it('makes headers that it finds right', () => {
    const params = { name: 'move', arguments: { region: ' ü ', level: 7, deep: { flag: false } } };
    const headers = known.of(params);
    expect(headers).toEqual({
      'mcp-param-region': '=?base64?IMO8IA==?=',
      'mcp-param-level': '7',
      'mcp-param-flag': 'false',
    });
    expect(known.check(headers, params)).toBeUndefined();
  });
});

/** Without headers it comes from a line. */
function exchange(method: string, params: object, headers?: HeaderMap): Exchange {
  const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
  const text = JSON.stringify({ jsonrpc: '2.0', id: 7, method, params: { ...params, _meta: meta } });
  const message = readMessage(text);
  const head = { method: 'POST', target: '/mcp', headers: headers ?? {} };
  const context = new Context();
  if (headers !== undefined) context.set(peerSlot, '127.0.0.1');
  context.set(callSlot, classify(head, message === undefined ? [] : [message], false));
  return { id: 'x', head, body: Body.empty, signal: new AbortController().signal, context };
}

describe('toolParamHeaders', () => {
  const answer = (result: object): Body =>
    Body.whole(new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', id: 7, result })), jsonFraming);
  const served: string[] = [];
  const server: Handler = async (asked) => {
    const method = asked.context.get(callSlot)?.method ?? '';
    served.push(method);
    return reply({ status: 200, headers: {} }, answer(method === 'tools/list' ? TOOLS : {}));
  };

  it('judges a call once its tool was listed', async () => {
    const handler = toolParamHeaders({ validate: true })(server);
    const call = (headers: HeaderMap = {}) =>
      handler(exchange('tools/call', { name: 'move', arguments: { region: 'eu' } }, headers));
    expect((await call()).head.status).toBe(200);
    const list = await handler(exchange('tools/list', {}, {}));
    expect(JSON.parse(new TextDecoder().decode(await list.body.collect(10_000)))).toMatchObject({ result: TOOLS });
    served.length = 0;
    const refused = await call();
    expect(refused.head.status).toBe(400);
    expect(JSON.parse(new TextDecoder().decode(await refused.body.collect(10_000)))).toMatchObject({
      id: 7,
      error: { code: -32020 },
    });
    expect(served).toEqual([]);
    expect((await call({ 'mcp-param-region': 'eu' })).head.status).toBe(200);
    expect(served).toEqual(['tools/call']);
  });

  it('hands on the same reply to anything else', async () => {
    const same = reply({ status: 200, headers: {} }, answer({}));
    const handler = toolParamHeaders({ validate: true })(async () => same);
    expect(await handler(exchange('prompts/list', {}, {}))).toBe(same);
  });

  it('leaves HTTP clients to a server that sees their headers', async () => {
    const same = reply({ status: 200, headers: {} }, answer(TOOLS));
    const handler = toolParamHeaders({ validate: false })(async () => same);
    expect(await handler(exchange('tools/list', {}, {}))).toBe(same);
  });

  it('makes the headers of clients on a line', async () => {
    const sent: HeaderMap[] = [];
    const handler = toolParamHeaders({ validate: false })((asked) => {
      sent.push(asked.head.headers);
      return server(asked);
    });
    await (await handler(exchange('tools/list', {}))).body.collect(10_000);
    await handler(exchange('tools/call', { name: 'move', arguments: { region: 'eu' } }));
    expect(sent).toEqual([{}, { 'mcp-param-region': 'eu' }]);
  });
});
