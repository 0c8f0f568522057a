import { type Log, ProxyError } from '@shadowcat/kernel';
import { classifiedExchange, exchangeOf, jsonReply, ManualClock, readReply } from '@shadowcat/testkit';
import { failureSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { compose } from '../src/compose.js';
import { rescue } from '../src/rescue.js';

function logOf(): { log: Log; lines: [string, string][] } {
  const lines: [string, string][] = [];
  const at = (level: string) => (_: object, message: string) => void lines.push([level, message]);
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}
const throwing = (thrown: unknown) => () => Promise.reject(thrown);

describe('rescue', () => {
  it.each(['pool_exhausted', 'upstream_unavailable'] as const)(
    'says %s once a second, and how often more',
    async (code) => {
      const clock = new ManualClock();
      const said: unknown[] = [];
      const log: Log = { ...logOf().log, warn: (details) => void said.push((details as { more?: number }).more) };
      const handler = rescue({ log, clock })(throwing(new ProxyError(code, 'too much')));
      for (let i = 0; i < 50; i += 1) expect((await handler(exchangeOf())).head.status).toBe(503);
      expect(said).toEqual([undefined]);
      clock.advance(1000);
      for (let i = 0; i < 3; i += 1) await handler(exchangeOf());
      clock.advance(1000);
      await handler(exchangeOf());
      expect(said).toEqual([undefined, 49, 2]);
    },
  );

  it('leaves a reply alone', async () => {
    const answer = jsonReply('{}');
    expect(await rescue(logOf())(() => Promise.resolve(answer))(exchangeOf())).toBe(answer);
  });

  it.each([
    ['a request', { jsonrpc: '2.0', id: 'a\n1', method: 'ping' }, ['a\n1']],
    ['a notification', { jsonrpc: '2.0', method: 'notifications/x' }, [null]],
    ['a batch', [1, 2].map((id) => ({ jsonrpc: '2.0', id, method: 'ping' })), [1, 2]],
  ])('answers %s with its own ids', async (_, body, ids) => {
    const exchange = classifiedExchange({ body });
    const error = new ProxyError('upstream_unreachable', 'nobody at http://x');
    const answer = await readReply(await rescue(logOf())(throwing(error))(exchange));
    const errors = answer.messages.flatMap((message) => message as unknown as { id: unknown; error: unknown });
    expect(errors.map(({ id }) => id)).toEqual(ids);
    expect(errors[0]?.error).toMatchObject({ message: 'nobody at http://x' });
    expect(answer.status).toBe(502);
    expect(exchange.context.get(failureSlot)).toBe(error);
  });

  it('answers with id null before the body was read', async () => {
    const answer = await readReply(
      await rescue(logOf())(throwing(new ProxyError('parse_error', 'no JSON')))(exchangeOf({ body: '{' })),
    );
    expect(answer.messages).toEqual([{ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'no JSON' } }]);
  });

  it('keeps what it does not know out of the answer and in the log', async () => {
    const { log, lines } = logOf();
    const exchange = classifiedExchange({ body: { jsonrpc: '2.0', id: 1, method: 'ping' } });
    const answer = await readReply(await rescue({ log })(throwing(new Error('/etc/secret: denied')))(exchange));
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('secret');
    expect(lines).toEqual([['error', '/etc/secret: denied']]);
  });

  it('answers what is thrown before there is a promise, too', async () => {
    const broken = () => {
      throw new ProxyError('draining', 'shutting down');
    };
    expect((await rescue(logOf())(broken)(exchangeOf())).head.status).toBe(503);
  });

  it.each([
    ['parse_error', 'info'],
    ['upstream_closed', 'warn'],
    ['pool_exhausted', 'warn'],
    ['cancelled', 'debug'],
    ['internal', 'error'],
  ] as const)('logs %s as %s', async (code, level) => {
    const { log, lines } = logOf();
    await rescue({ log })(throwing(new ProxyError(code, 'x')))(exchangeOf());
    expect(lines).toEqual([[level, 'x']]);
  });

  it('does not raise its voice for those who have left', async () => {
    const { log, lines } = logOf();
    await rescue({ log })(throwing(new Error('socket gone')))(exchangeOf({ signal: AbortSignal.abort() }));
    expect(lines).toEqual([['debug', 'socket gone']]);
  });
});

describe('compose', () => {
  it('puts the first layer outermost', async () => {
    const seen: string[] = [];
    const layer =
      (name: string) =>
      (next: Parameters<ReturnType<typeof compose>>[0]) =>
      async (exchange: Parameters<typeof next>[0]) => {
        seen.push(`${name} in`);
        const answer = await next(exchange);
        seen.push(`${name} out`);
        return answer;
      };
    await compose(layer('a'), layer('b'))(() => Promise.resolve(jsonReply('{}')))(exchangeOf());
    expect(seen).toEqual(['a in', 'b in', 'b out', 'a out']);
  });

  it('of nothing is the handler itself', () => {
    const handler = () => Promise.resolve(jsonReply('{}'));
    expect(compose()(handler)).toBe(handler);
  });
});
