import { Body } from '@shadowcat/kernel';
import { type ExchangeParts, exchangeOf, handlerOf } from '@shadowcat/testkit';
import { callSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { type ClassifyOptions, classifyLayer } from '../src/classify-layer.js';

const VERSION = 'mcp-protocol-version';
const META = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } };

function layer(options: ClassifyOptions = {}) {
  const handler = handlerOf(() => '{}');
  const stack = classifyLayer(options)(handler);
  return { handler, ask: (parts: ExchangeParts) => stack(exchangeOf(parts)) };
}
const ping = (id: unknown) => ({ jsonrpc: '2.0', id, method: 'ping' });

describe('classifyLayer', () => {
  it('reads the body once and leaves it whole and byte for byte', async () => {
    const { handler, ask } = layer();
    const text = ' {"jsonrpc":"2.0", "id":1.0,"method":"ping"}\n';
    const half = [text.slice(0, 9), text.slice(9)].map((part) => new TextEncoder().encode(part));
    async function* arriving() {
      yield* half;
    }
    const whole = exchangeOf({ body: text }).body;
    await ask({ body: Body.stream(arriving(), whole.framing), method: 'POST' });
    const [seen] = handler.exchanges;
    expect(new TextDecoder().decode(seen?.body.ready)).toBe(text);
    expect(seen?.body.framing.name).toBe('json');
    expect(seen?.context.get(callSlot)).toMatchObject({
      era: 'legacy',
      method: 'ping',
      batch: false,
      expectsAnswer: true,
    });
  });

  it.each([
    ['GET', '(stream)', 'stream'],
    ['DELETE', '(end)', 'end'],
  ])('passes a legacy %s on as %s', async (method, name, verb) => {
    const { handler, ask } = layer();
    await ask({ method });
    expect(handler.exchanges[0]?.context.get(callSlot)).toMatchObject({ method: name, verb });
  });

  it.each(['GET', 'DELETE'])('refuses a modern %s', async (method) => {
    const { handler, ask } = layer();
    await expect(ask({ method, headers: { [VERSION]: '2026-07-28' } })).rejects.toMatchObject({
      code: 'method_not_allowed',
    });
    expect(handler.exchanges).toEqual([]);
  });

  it.each([
    ['{', 'parse_error'],
    ['', 'parse_error'],
    [new Uint8Array([0x22, 0xff, 0x22]), 'parse_error'],
    ['{"jsonrpc":"1.0","id":1,"method":"x"}', 'invalid_request'],
    ['[]', 'invalid_request'],
  ])('refuses the body %j: %s', async (body, code) => {
    await expect(layer().ask({ body, method: 'POST' })).rejects.toMatchObject({ code });
  });

  it.each([
    [{ maxBody: 10 }, 'body_too_large'],
    [{ batch: 1 }, 'invalid_request'],
    [{ depth: 2 }, 'invalid_request'],
    [{ nodes: 3 }, 'invalid_request'],
  ])('keeps to the limits %j', async (options, code) => {
    const body = [{ ...ping(1), params: { a: [[]] } }, ping(2)];
    await expect(layer(options).ask({ body })).rejects.toMatchObject({ code });
  });

  it.each([
    ['without a revision', [ping(1), ping(2)], {}, undefined],
    ['in 2025-03-26', [ping(1)], { [VERSION]: '2025-03-26' }, undefined],
    ['in 2025-06-18', [ping(1)], { [VERSION]: '2025-06-18' }, 'invalid_request'],
    ['in 2026-07-28', [ping(1)], { [VERSION]: '2026-07-28' }, 'invalid_request'],
    ['with a modern message', [ping(1), { ...ping(2), params: META }], {}, 'invalid_request'],
    ['with an initialize', [ping(1), { jsonrpc: '2.0', id: 2, method: 'initialize' }], {}, 'invalid_request'],
  ])('a batch %s', async (_, body, headers, code) => {
    const outcome = layer().ask({ body, headers });
    if (code === undefined) await expect(outcome).resolves.toBeDefined();
    else await expect(outcome).rejects.toMatchObject({ code });
  });

  it('knows the ids of what it refuses for its headers', async () => {
    const exchange = exchangeOf({
      body: { jsonrpc: '2.0', id: 7, method: 'tools/list', params: META },
      headers: { [VERSION]: '2026-07-28', 'mcp-method': 'tools/call' },
    });
    await expect(classifyLayer()(handlerOf(() => '{}'))(exchange)).rejects.toMatchObject({ code: 'header_mismatch' });
    expect(exchange.context.get(callSlot)?.message?.idText).toBe('7');
  });

  it('passes a modern request whose headers agree', async () => {
    const { ask } = layer();
    const headers = { [VERSION]: '2026-07-28', 'mcp-method': 'tools/list' };
    await expect(
      ask({ body: { jsonrpc: '2.0', id: 7, method: 'tools/list', params: META }, headers }),
    ).resolves.toBeDefined();
  });
});
