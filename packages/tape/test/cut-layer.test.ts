import { type Exchange, type Handler, ProxyError } from '@shadowcat/kernel';
import { exchangeOf, jsonReply, ManualClock, readReply, streamReply } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { type Cut, cutLayer, cutSlot, LEAVE_MS } from '../src/cut-layer.js';

const event = (n: number): string => `data: {"jsonrpc":"2.0","method":"n","params":{"n":${n}}}\n\n`;

async function* events(): AsyncGenerator<string> {
  for (const n of [1, 2, 3]) yield event(n);
}

const clock = new ManualClock();

function cutting(handler: Handler, cut: Cut | undefined): Handler {
  return cutLayer({ clock })(async (exchange: Exchange) => {
    if (cut !== undefined) exchange.context.set(cutSlot, cut);
    return handler(exchange);
  });
}

async function textUntilEnd(reply: Awaited<ReturnType<Handler>>): Promise<{ text: string; error: unknown }> {
  const read = reading(reply);
  await clock.pass(LEAVE_MS);
  return read;
}

async function reading(reply: Awaited<ReturnType<Handler>>): Promise<{ text: string; error: unknown }> {
  let text = '';
  try {
    for await (const chunk of reply.body.bytes()) text += new TextDecoder().decode(chunk);
  } catch (error) {
    return { text, error };
  }
  return { text, error: undefined };
}

const streamed: Handler = async () => streamReply(events());
const cut = (how: Cut['how'], before: number): Cut => ({ how, before, retryMs: 70, where: 'o.yaml:1:1' });
const ask = (): Exchange => exchangeOf({ body: { jsonrpc: '2.0', id: 1, method: 'x' } });

describe('an answer', () => {
  it('that nobody wants cut passes as it is', async () => {
    const handler = cutting(streamed, undefined);
    expect((await readReply(await handler(ask()))).messages).toHaveLength(3);
  });

  it('breaks before the given message, after the head has left', async () => {
    const first = await textUntilEnd(await cutting(streamed, cut('reset', 1))(ask()));
    expect(first).toMatchObject({ text: ':\n\n', error: { code: 'upstream_closed' } });
    expect(first.error).toBeInstanceOf(ProxyError);
    const third = await textUntilEnd(await cutting(streamed, cut('reset', 3))(ask()));
    expect(third).toMatchObject({ text: `:\n\n${event(1)}${event(2)}`, error: { code: 'upstream_closed' } });
  });

  it('ends in good order before the given message, and says when to come back', async () => {
    const closed = await textUntilEnd(await cutting(streamed, cut('close', 2))(ask()));
    expect(closed.error).toBeUndefined();
    expect(closed.text.startsWith(event(1))).toBe(true);
    expect(closed.text.slice(event(1).length)).toMatch(/^retry: 70\n/);
  });

  it('that is shorter than the cut is whole', async () => {
    const whole = await textUntilEnd(await cutting(streamed, cut('close', 4))(ask()));
    expect(whole).toEqual({ text: [1, 2, 3].map(event).join(''), error: undefined });
  });

  it('in one piece breaks in its middle', async () => {
    const body = { jsonrpc: '2.0', id: 1, result: {} };
    const broken = await textUntilEnd(await cutting(async () => jsonReply(body), cut('reset', 1))(ask()));
    const text = JSON.stringify(body);
    expect(broken).toMatchObject({
      text: text.slice(0, Math.ceil(text.length / 2)),
      error: { code: 'upstream_closed' },
    });
    expect((await textUntilEnd(await cutting(async () => jsonReply(body), cut('reset', 2))(ask()))).text).toBe(text);
  });
});
