import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRedactor } from '../src/redact.js';

const hmac = (text: string): string => createHmac('sha256', 'k').update(text).digest('hex');
const hidden = (secret: string): string => `~redacted.${hmac(secret).slice(0, 16)}~`;
const redactor = createRedactor({ keys: ['employee number'], patterns: ['EMP-\\d+'], allow: ['csrf token'] }, hmac);

const SECRET = 'pl4nted-S3cret-9';

/** Ways in which a secret stands in a text, each of which gives it away. */
const carriers = fc.constantFrom(
  (s: string) => `https://user:${s}@example.com/a`,
  (s: string) => `https://example.com/?a=1&access_token=${s}#x`,
  (s: string) => `run --api-key ${s} --verbose`,
  (s: string) => `run --token=${s}`,
  (s: string) => `DB_PASSWORD=${s} npm start`,
  (s: string) => `Authorization: Bearer ${s}\r\nAccept: a`,
  (s: string) => `Cookie: session=${s}`,
  (s: string) => `log {"secret":{"a":["${s}"]}} end`,
  (s: string) => JSON.stringify({ args: ['--password', s] }),
  (s: string) => JSON.stringify([{ name: 'token', value: s }]),
  (s: string) => JSON.stringify({ deeper: JSON.stringify({ 'x-api-key': s }) }),
  (s: string) => `a: 1\n  client_secret: ${s}\nb: 2`,
);

const words = fc.constantFrom(
  'the',
  'token',
  'of',
  'Bearer',
  '=',
  ':',
  '"',
  "'",
  '\\',
  '{',
  '}',
  '[',
  ']',
  '--key',
  '?',
  '&',
  '\n',
  '~redacted.',
);
const prose = fc.array(fc.oneof(words, fc.string({ maxLength: 6 })), { maxLength: 12 }).map((parts) => parts.join(' '));
const strings = fc.oneof(
  prose,
  carriers.map((carry) => carry(SECRET)),
  fc.string(),
);
const keys = fc.oneof(
  fc.constantFrom('password', 'apiKey', 'properties', 'name', 'value', 'blob', 'mimeType', 'csrf_token', 'text'),
  fc.string({ maxLength: 8 }),
);
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(
      strings,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    ),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(keys, tie('json'), { maxKeys: 5 }),
    tie('json').map((value) => JSON.stringify(value)),
  ),
}));

const RUNS = { numRuns: 400 };

describe('redaction of any JSON', () => {
  it('gives JSON, and given that again changes nothing', () => {
    fc.assert(
      fc.property(json, (value) => {
        const once = redactor.json(JSON.stringify(value));
        JSON.parse(once);
        expect(redactor.json(once)).toBe(once);
      }),
      RUNS,
    );
  });

  it('hides a secret that is planted anywhere', () => {
    fc.assert(
      fc.property(carriers, prose, fc.nat({ max: 4 }), (carry, around, depth) => {
        let value: unknown = { note: around, text: carry(SECRET) };
        for (let level = 0; level < depth; level += 1)
          value = level % 2 === 0 ? [value] : { inner: JSON.stringify(value) };
        expect(redactor.json(JSON.stringify(value))).not.toContain(SECRET);
      }),
      RUNS,
    );
  });

  it('keeps everything else byte for byte', () => {
    const spaces = fc.stringMatching(/^[ \t\n]{0,3}$/);
    const plain = fc.constantFrom(
      '1.0',
      '9007199254740993',
      '-0',
      '1e400',
      '"\\u00e9\\/"',
      'true',
      'null',
      '[ ]',
      '{\t}',
      '"a"',
    );
    const member = fc.record({ space: spaces, value: plain, secret: fc.boolean() });
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 8 }), (members) => {
        const text = (planted: string): string =>
          `{${members
            .map(({ space, value, secret }, at) =>
              secret ? `${space}"m${at}_token"${space}:[${space}"${planted}" ]` : `"m${at}"${space}:${space}${value}`,
            )
            .join(',')}}`;
        expect(redactor.json(text(SECRET))).toBe(text(hidden(SECRET)));
      }),
      RUNS,
    );
  });
});

describe('redaction of any text', () => {
  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(fc.array(strings, { maxLength: 5 }), (parts) => {
        const once = redactor.text(parts.join('\n'));
        expect(redactor.text(once)).toBe(once);
      }),
      RUNS,
    );
  });
});
