import { type Exchange, type Handler, ProxyError, type Reply } from '@shadowcat/kernel';
import { handlerOf, jsonReply, streamReply } from '@shadowcat/testkit';
import { callSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { ProbeDialogue } from '../src/protect/probe-dialogue.js';

const never = new AbortController().signal;
const dialogueWith = (handler: Handler, sessions = true): ProbeDialogue =>
  new ProbeDialogue({ name: 'a', version: '1', sessions }, handler);

const idOf = (exchange: Exchange): unknown => exchange.context.get(callSlot)?.message?.id;
const saidBy = (exchanges: readonly Exchange[]): string[] =>
  exchanges.map(({ context, head }) => `${context.get(callSlot)?.method} ${head.headers['mcp-session-id'] ?? '-'}`);

/** A legacy server over HTTP whose session can be lost. */
function legacy() {
  let session: string | undefined;
  let opened = 0;
  const handler = handlerOf((exchange): Reply | object => {
    const call = exchange.context.get(callSlot);
    const id = idOf(exchange);
    if (call?.method === 'initialize') {
      opened += 1;
      session = `s${opened}`;
      const text = JSON.stringify({ jsonrpc: '2.0', id, result: { protocolVersion: '2025-06-18' } });
      return streamReply([`data: ${text}\n\n`], { headers: { 'mcp-session-id': session } });
    }
    const named = exchange.head.headers['mcp-session-id'];
    if (named === undefined || named !== session) return jsonReply('{}', { status: named === undefined ? 400 : 404 });
    return id === undefined ? jsonReply('', { status: 202 }) : { jsonrpc: '2.0', id, result: {} };
  });
  const lose = (): void => {
    session = 'other';
  };
  return { handler, lose };
}

describe('asking a server whether it lives', () => {
  it('asks a modern one for server/discover', async () => {
    const handler = handlerOf((exchange) => ({
      jsonrpc: '2.0',
      id: idOf(exchange),
      result: { supportedVersions: [] },
    }));
    const dialogue = dialogueWith(handler);
    expect(await dialogue.ask(never)).toBe('answered');
    expect(await dialogue.ask(never)).toBe('answered');
    expect(saidBy(handler.exchanges)).toEqual(['server/discover -', 'server/discover -']);
    expect(handler.exchanges[0]?.head.headers).toMatchObject({
      'mcp-method': 'server/discover',
      'mcp-protocol-version': '2026-07-28',
    });
    await dialogue.close(never);
    expect(handler.exchanges).toHaveLength(2);
  });

  it('pings a legacy one on a session of its own, opens that again when it is lost, and ends it', async () => {
    const { handler, lose } = legacy();
    const dialogue = dialogueWith(handler);
    for (let i = 0; i < 3; i += 1) expect(await dialogue.ask(never)).toBe('answered');
    expect(saidBy(handler.exchanges)).toEqual([
      'server/discover -',
      'initialize -',
      'notifications/initialized s1',
      'ping s1',
      'ping s1',
    ]);
    lose();
    for (let i = 0; i < 3; i += 1) expect(await dialogue.ask(never)).toBe('answered');
    expect(saidBy(handler.exchanges).slice(5)).toEqual([
      'ping s1',
      'server/discover -',
      'initialize -',
      'notifications/initialized s2',
      'ping s2',
    ]);
    await dialogue.close(never);
    await dialogue.close(never);
    expect(saidBy(handler.exchanges).slice(10)).toEqual(['(end) s2']);
  });

  it('only ever asks server/discover on a line, whose sessions are its clients’', async () => {
    const error = { code: -32601, message: 'Method not found' };
    const handler = handlerOf((exchange) => ({ jsonrpc: '2.0', id: idOf(exchange), error }));
    const dialogue = dialogueWith(handler, false);
    for (let i = 0; i < 2; i += 1) expect(await dialogue.ask(never)).toBe('answered');
    expect(saidBy(handler.exchanges)).toEqual(['server/discover -', 'server/discover -']);
  });

  it.each([401, 403, 400, 404, 429, 500])('takes HTTP %i for a sign of life', async (status) => {
    const dialogue = dialogueWith(handlerOf(() => jsonReply('{}', { status })));
    expect(await dialogue.ask(never)).toBe('answered');
  });

  it.each([502, 503, 504])('takes HTTP %i for the word of a gateway that the server is gone', async (status) => {
    const dialogue = dialogueWith(handlerOf(() => jsonReply('{}', { status })));
    await expect(dialogue.ask(never)).rejects.toThrow(`HTTP ${status}`);
  });

  it.each([
    ['upstream_unreachable', 'dead'],
    ['upstream_timeout', 'dead'],
    ['child_exited', 'dead'],
    ['pool_exhausted', 'undetermined'],
    ['session_required', 'undetermined'],
  ] as const)('takes %s for %s', async (code, verdict) => {
    const dialogue = dialogueWith(() => Promise.reject(new ProxyError(code, 'it failed')));
    const said = await dialogue.ask(never).catch(() => 'dead');
    expect(said).toBe(verdict);
  });

  it('gives back what an answer borrows', async () => {
    let disposals = 0;
    const answer = (): Reply =>
      streamReply(['data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n'], { dispose: () => void disposals++ });
    await dialogueWith(handlerOf(answer)).ask(never);
    expect(disposals).toBe(1);
  });
});
