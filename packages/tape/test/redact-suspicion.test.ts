import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redactJson, redactString } from '../src/redact-json.js';
import { SECRET_KEYS, SECRET_QUERY_KEYS, WEAK_KEYS } from '../src/redact-keys.js';
import { type RedactionOptions, rulesOf } from '../src/redact-rules.js';

const hmac = (text: string): string => createHmac('sha256', 'k').update(text).digest('hex');

/** The closer look without the test that most texts are done with. */
function looker(options: RedactionOptions) {
  const rules = rulesOf(options, hmac);
  return {
    suspicious: rules.suspicious,
    json: (text: string) => redactJson(text, { rules, trail: [] }),
    text: (text: string) => redactString(text, { rules, trail: [] }, 0),
  };
}
const builtIn = looker({});
const project = looker({ keys: ['employee number'], patterns: ['EMP-\\d+'], values: ['configured-value-1'] });

const SPELLINGS: readonly ((key: string) => string)[] = [
  (key) => key,
  (key) => key.replaceAll(' ', '_'),
  (key) => key.replaceAll(' ', '-').toUpperCase(),
  (key) => key.replaceAll(/ (\w)/g, (_, letter: string) => letter.toUpperCase()),
  (key) => key.replaceAll(' ', ''),
  (key) => `my.${key.replaceAll(' ', '.')}`,
  (key) => `MY_${key.replaceAll(' ', '').toUpperCase()}`,
];
const key = fc
  .tuple(
    fc.constantFrom(...SECRET_KEYS, ...SECRET_QUERY_KEYS, ...WEAK_KEYS, 'progress token', 'employee number', 'name'),
    fc.constantFrom(...SPELLINGS),
  )
  .map(([words, spell]) => spell(words));
const value = fc.constantFrom(
  'x',
  'pl4nted-S3cret-9',
  'aB3dE5fG7hI9jK1lM3nO5',
  `ghp_${'a1B2'.repeat(9)}`,
  `sk-${'Zz9-'.repeat(8)}`,
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLW9m',
  'EMP-17',
  'configured-value-1',
  '-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----',
  'https://user:pw@example.com/a',
  'Bearer abc123def',
  'data:text/plain;base64,dG9rZW49YWJjZGVmMTIz',
  '$NAME',
);
const piece = fc.oneof(
  fc
    .tuple(key, fc.constantFrom('=', ': ', ' ', '":"', "':'", '\\":\\"', '&', '?'), value)
    .map((parts) => parts.join('')),
  fc
    .tuple(fc.constantFrom('--', '-', '?', '&', '"', ''), key, fc.constantFrom('=', ' '), value)
    .map((parts) => parts.join('')),
  key,
  value,
  fc.string({ maxLength: 8 }),
);
const content = fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join(' '));
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    content,
    fc.nat(),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(key, fc.constantFrom('name', 'value', 'blob', 'mimeType', 'args')), tie('json'), {
      maxKeys: 4,
    }),
    tie('json').map((inner) => JSON.stringify(inner)),
  ),
}));
/** Some letters as escapes, as some writers spell them. */
const escaped = fc.tuple(json, fc.nat({ max: 9 })).map(([inner, every]) => {
  let letters = 0;
  return JSON.stringify(inner).replaceAll(/(?<!\\)[a-zA-Z]/g, (letter) => {
    letters += 1;
    return every > 6 && letters % every === 0 ? `\\u00${letter.charCodeAt(0).toString(16)}` : letter;
  });
});
const RUNS = { numRuns: 2000 };

describe('the test that most texts are done with', () => {
  it('lets no JSON pass in which a closer look finds a secret', () => {
    fc.assert(
      fc.property(escaped, fc.constantFrom(builtIn, project), (text, rules) => {
        try {
          JSON.parse(text);
        } catch {
          return;
        }
        if (!rules.suspicious(text)) expect(rules.json(text)).toBe(text);
      }),
      RUNS,
    );
  });

  it('lets no other text pass in which a closer look finds a secret', () => {
    fc.assert(
      fc.property(fc.array(content, { maxLength: 3 }), fc.constantFrom(builtIn, project), (parts, rules) => {
        const text = parts.join('\n');
        if (!rules.suspicious(text)) expect(rules.text(text)).toBe(text);
      }),
      RUNS,
    );
  });

  it('is what most messages are done with', () => {
    for (const text of [
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"m1"}}}',
    ])
      expect(builtIn.suspicious(text)).toBe(false);
  });
});
