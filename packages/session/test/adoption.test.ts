import { ProxyError, silentLog } from '@shadowcat/kernel';
import { classifiedExchange, handlerOf, jsonReply, ManualClock, readReply } from '@shadowcat/testkit';
import { credentialSlot, SESSION_HEADER } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import type { AdoptionRequest, Adopts } from '../src/adoption.js';
import { memoryStore } from '../src/memory-store.js';
import { sessionLayer } from '../src/session-layer.js';

const INITIALIZE = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}';
const LIST = '{"jsonrpc":"2.0","id":2,"method":"tools/list"}';

/** A session opened with `credential`, behind a layer that asks `adopts`. */
async function opened(credential: string, adopts: Adopts | undefined) {
  const store = memoryStore();
  const status = { next: 200 };
  const handler = sessionLayer(
    { perCredential: 1 },
    { store, clock: new ManualClock(), log: silentLog, newId: () => 'sc-1', adopts },
  )(
    handlerOf(() => {
      const headers = { [SESSION_HEADER]: 'up-1' };
      return jsonReply('{"jsonrpc":"2.0","id":2,"result":{}}', { headers, status: status.next });
    }),
  );
  const send = async (by: string, body = LIST, headers = { [SESSION_HEADER]: 'sc-1' }): Promise<number | string> => {
    const exchange = classifiedExchange({ body, headers });
    if (by !== '') exchange.context.set(credentialSlot, by);
    try {
      return (await readReply(await handler(exchange))).status;
    } catch (error) {
      return ProxyError.from(error).code;
    }
  };
  await send(credential, INITIALIZE, {} as never);
  return { send, store, status };
}

describe('a session that is asked for with another credential', () => {
  it('is not found, and nobody is asked, where nobody decides', async () => {
    const { send } = await opened('one', undefined);
    expect(await send('two')).toBe('session_not_found');
    expect(await send('one')).toBe(200);
  });

  it('goes on with it when it is adopted, and no longer with the one before; the store knows', async () => {
    const { send, store } = await opened('one', async ({ credential }) => credential === 'one');
    expect(await send('two')).toBe(200);
    expect(await send('one')).toBe('session_not_found');
    expect(await send('two')).toBe(200);
    expect((await store.load('sc-1'))?.credential).toBe('two');
  });

  it('asks once for all who wait, and again the next time', async () => {
    const verdicts = [Promise.withResolvers<boolean>(), Promise.withResolvers<boolean>()];
    let asked = 0;
    const { send } = await opened('one', () => (verdicts[asked++] ?? verdicts[0] ?? Promise.withResolvers()).promise);
    const waiting = [send('two'), send('two'), send('two')];
    verdicts[0]?.resolve(false);
    expect(await Promise.all(waiting)).toEqual(Array(3).fill('session_not_found'));
    expect(asked).toBe(1);
    verdicts[1]?.resolve(true);
    expect(await send('two')).toBe(200);
    expect(asked).toBe(2);
  });

  it('is not adopted by a client without a credential, nor when the question fails', async () => {
    const { send } = await opened('one', () => Promise.reject(new ProxyError('upstream_closed', 'gone')));
    expect([await send(''), await send('two'), await send('one')]).toEqual([
      'session_not_found',
      'session_not_found',
      200,
    ]);
  });

  it('says whether the upstream refused the credential it has', async () => {
    const seen: Pick<AdoptionRequest, 'credential' | 'refused'>[] = [];
    const { send, status } = await opened('', async ({ credential, refused }) => {
      seen.push({ credential, refused });
      return seen.length > 1;
    });
    await send('one');
    status.next = 401;
    await send('');
    status.next = 200;
    await send('one');
    await send('two');
    expect(seen).toEqual([
      { credential: '', refused: false },
      { credential: '', refused: true },
      { credential: 'one', refused: false },
    ]);
  });
});
