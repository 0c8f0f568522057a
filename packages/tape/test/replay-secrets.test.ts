import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readTape } from '../src/read-tape.js';
import { createRedactor } from '../src/redact.js';
import { recognising, secretValues, withRequestsRedacted } from '../src/redact-known.js';
import { bytesOf, newDigest } from './support/rig.js';

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
