import { readFileSync } from 'node:fs';
import { type Exchange, silentLog } from '@shadowcat/kernel';
import { classifiedExchange, handlerOf, ManualClock, readReply } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { intercept } from '../src/intercept.js';
import { interceptorsOf } from '../src/interceptor.js';

const page = readFileSync(new URL('../../../docs/interceptors.md', import.meta.url), 'utf8');
const source = /```js\n(.*?)```/s.exec(page)?.[1] ?? '';

const toolOf = (exchange: Exchange): string => new TextDecoder().decode(exchange.body.ready);

describe('the example in docs/interceptors.md', () => {
  it('does what it says', async () => {
    const exported = (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as { default: unknown };
    const interceptors = interceptorsOf(exported.default);
    const server = handlerOf(() => ({
      jsonrpc: '2.0',
      id: 1,
      result: { content: [{ type: 'text', text: 'use sk-0123456789 or so' }] },
    }));
    const proxy = intercept(interceptors, {}, { clock: new ManualClock(), log: silentLog })(server);
    const call = async (name: string) => {
      const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } };
      return (await readReply(await proxy(classifiedExchange({ body })))).messages[0];
    };

    expect(await call('echo')).toMatchObject({ result: { content: [{ text: 'use [key] or so' }] } });
    expect(await call('get-env')).toMatchObject({
      id: 1,
      error: { code: -32003, message: 'the environment is not for clients', data: { interceptor: 'no-env' } },
    });
    expect(server.exchanges.map(toolOf)).toEqual([expect.stringContaining('"echo"')]);
  });
});
