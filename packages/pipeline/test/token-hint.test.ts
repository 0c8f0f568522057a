import { type Log, silentLog } from '@shadowcat/kernel';
import { exchangeOf, handlerOf, jsonReply, ManualClock } from '@shadowcat/testkit';
import { expect, it } from 'vitest';
import { tokenHint } from '../src/token-hint.js';

it('tells the operator of refused tokens, at most once a minute', async () => {
  const hints: string[] = [];
  const log: Log = { ...silentLog, warn: (_details, message) => hints.push(message) };
  const clock = new ManualClock();
  let status = 200;
  const handler = tokenHint({ clock, log })(handlerOf(() => jsonReply('{}', { status })));
  const ask = () => handler(exchangeOf({ method: 'POST', target: '/mcp', body: '{}' }));
  await ask();
  expect(hints).toEqual([]);
  status = 401;
  await ask();
  await ask();
  expect(hints).toEqual([expect.stringContaining('--forward-authorization')]);
  await clock.advance(60_000);
  await ask();
  expect(hints).toHaveLength(2);
});
