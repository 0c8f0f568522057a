import { Body, Context, type Exchange, type Handler, reply } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { classify } from '../src/classify.js';
import { jsonFraming } from '../src/json-framing.js';
import { knownRevisions } from '../src/known-revisions.js';
import { parseMessages } from '../src/read-messages.js';
import { callSlot } from '../src/slots.js';

function exchange(method: string, version: string): Exchange {
  const params = { _meta: { 'io.modelcontextprotocol/protocolVersion': version } };
  const { messages } = parseMessages(JSON.stringify({ jsonrpc: '2.0', id: 7, method, params }));
  const head = { method: 'POST', target: '/mcp', headers: { 'mcp-protocol-version': version } };
  const context = new Context();
  context.set(callSlot, classify(head, messages, false));
  return { id: 'x', head, body: Body.empty, signal: new AbortController().signal, context };
}

const encoder = new TextEncoder();
const server: Handler = async () => {
  const answer = { jsonrpc: '2.0', id: 7, result: { supportedVersions: ['2026-07-28', '2027-01-01'] } };
  return reply({ status: 200, headers: {} }, Body.whole(encoder.encode(JSON.stringify(answer)), jsonFraming));
};

async function ask(handler: Handler, method: string, version: string): Promise<[status: number, text: string]> {
  const { head, body } = await handler(exchange(method, version));
  return [head.status, new TextDecoder().decode(await body.collect(10_000))];
}

describe('knownRevisions', () => {
  it('refuses what the server has not named, once it has named what it knows', async () => {
    const handler = knownRevisions()(server);
    expect((await ask(handler, 'tools/list', 'v999.0.0'))[0]).toBe(200);
    expect((await ask(handler, 'server/discover', '2026-07-28'))[0]).toBe(200);
    const [status, text] = await ask(handler, 'server/discover', 'v999.0.0');
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({
      id: 7,
      error: { code: -32022, data: { supported: ['2026-07-28', '2027-01-01'], requested: 'v999.0.0' } },
    });
    expect((await ask(handler, 'tools/list', '2027-01-01'))[0]).toBe(200);
  });
});
