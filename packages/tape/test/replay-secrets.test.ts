import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readTape } from '../src/read-tape.js';
import { createRedactor } from '../src/redact.js';
import { recognising, secretValues, withRequestsRedacted } from '../src/redact-known.js';
import { bytesOf, newDigest, replayRig, TestClient } from './support/rig.js';

const hmac = (text: string): string => createHmac('sha256', 'k').update(text).digest('hex');
const hidden = (secret: string): string => `~redacted.${hmac(secret).slice(0, 16)}~`;
const redactor = createRedactor({}, hmac);

const tapeOf = (...messages: string[]) =>
  readTape(
    bytesOf(
      [
        '{"k":"head","v":1,"form":"capture","requires":[],"redaction":{"policy":"default@2","key":"0"}}',
        ...messages.map((m, at) => `{"k":"msg","s":"-","x":"${at}","from":"client","m":${m}}`),
        '',
      ].join('\n'),
    ),
    { name: 't', newDigest },
  );

describe('requests of a tape', () => {
  it('are compared as the present rules would have recorded them', () => {
    const asked = '{"method":"a","params":{"password":"hunter2"}}';
    const [, request] = withRequestsRedacted(tapeOf(asked), redactor).records;
    expect(request).toMatchObject({ text: redactor.json(asked) });
  });

  it('hide in live requests what was hidden for reasons that only the recording knew', () => {
    const recorded = `{"params":{"badge":"number ${hidden('EMP-1234')}","n":"${hidden('12345678')}"}}`;
    const own = recognising(redactor, hmac, [tapeOf(recorded)]);
    expect(own.json('{"params":{"badge":"number EMP-1234","m":12345678}}')).toBe(
      `{"params":{"badge":"number ${hidden('EMP-1234')}","m":12345678}}`,
    );
    expect(own.json('{"token":"EMP-1234"}')).toBe(`{"token":"${hidden('EMP-1234')}"}`);
    expect(own.json(recorded)).toBe(recorded);
  });

  it('cost nothing when they hide nothing', () => {
    expect(recognising(redactor, hmac, [tapeOf('{"a":1}')])).toBe(redactor);
  });
});

describe('what the proxy was configured with', () => {
  it('is secret where its name says so', () => {
    expect(
      secretValues({
        authorization: 'Bearer abc',
        'x-team': 'a',
        API_KEY: 'k',
        LOG_LEVEL: 'debug',
        DB_PASSWORD: undefined,
      }),
    ).toEqual(['abc', 'k', '']);
  });
});

describe('a miss', () => {
  it('does not show a secret that stands in the name of a method', async () => {
    const { replay, warnings } = replayRig([tapeOf('{"jsonrpc":"2.0","id":1,"method":"tools/list"}')]);
    const client = new TestClient(replay);
    const secret = 'Zk8vQ2nPx7LmR4tW9bYc';
    const answer = await client.post({ jsonrpc: '2.0', id: 1, method: `x?token=${secret}` }).catch(String);
    const shown = JSON.stringify([warnings, answer, replay.summary()]);
    expect(shown).toContain('not on the tape: x?token=~redacted.');
    expect(shown).not.toContain(secret);
  });
});
