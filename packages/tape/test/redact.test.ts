import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createRedactor, hasPlaceholder } from '../src/redact.js';

const hmac = (text: string): string => createHmac('sha256', 'k').update(text).digest('hex');
const redactor = createRedactor({}, hmac);
const hidden = (secret: string): string => `~redacted.${hmac(secret).slice(0, 16)}~`;

describe('keys whose values are secrets', () => {
  it.each([
    'password',
    'Password',
    'userPassword',
    'db_password',
    'passwd',
    'token',
    'accessToken',
    'ACCESS_TOKEN',
    'github-token',
    'apiKey',
    'api_key',
    'APIKEY',
    'X-Api-Key',
    'OPENAI_API_KEY',
    'secret',
    'clientSecret',
    'authorization',
    'Proxy-Authorization',
    'privateKey',
    'aws_secret_access_key',
    'cookie',
    'Set-Cookie',
    'credentials',
  ])('hides the value of %s', (key) => {
    const text = JSON.stringify({ a: 1, [key]: 'hunter2' });
    expect(redactor.json(text)).toBe(JSON.stringify({ a: 1, [key]: hidden('hunter2') }));
  });

  it.each(['progressToken', 'nextPageToken', 'maxTokens', 'tokenizer', 'PWD', 'passwordless', 'keyboard', 'author'])(
    'leaves the value of %s',
    (key) => {
      const text = JSON.stringify({ [key]: 'hunter2' });
      expect(redactor.json(text)).toBe(text);
    },
  );

  it('finds keys that are spelled with escapes', () => {
    expect(redactor.json('{"\\u0070assword":"hunter2"}')).toBe(`{"\\u0070assword":"${hidden('hunter2')}"}`);
  });

  it('hides everything below such a key, numbers too, and leaves true, false and null', () => {
    const text = '{"secret":{"a":"x","b":[1,"y"],"c":null,"d":true}}';
    expect(redactor.json(text)).toBe(
      `{"secret":{"a":"${hidden('x')}","b":["${hidden('1')}","${hidden('y')}"],"c":null,"d":true}}`,
    );
  });

  it('takes more keys from the configuration', () => {
    const own = createRedactor({ keys: ['employee number'] }, hmac);
    expect(own.json('{"employeeNumber":"42-a"}')).toBe(`{"employeeNumber":"${hidden('42-a')}"}`);
    expect(own.policy).not.toBe(redactor.policy);
  });

  it('leaves a schema that describes a secret, but not the values in it', () => {
    const schema = { type: 'object', properties: { password: { type: 'string', description: 'The password' } } };
    expect(redactor.json(JSON.stringify({ inputSchema: schema }))).toBe(JSON.stringify({ inputSchema: schema }));
    const sample = {
      properties: { token: { type: 'string', default: 'plant-1', example: 'plant-2', value: 'plant-3' } },
    };
    const text = redactor.json(JSON.stringify(sample));
    for (const planted of ['plant-1', 'plant-2', 'plant-3']) expect(text).not.toContain(planted);
    expect(redactor.json('{"properties":{"password":{"value":"hunter2"}}}')).not.toContain('hunter2');
  });

  it('hides the value beside a name, and the word after a flag', () => {
    expect(redactor.json('[{"name":"api_key","value":"hunter2"}]')).not.toContain('hunter2');
    expect(redactor.json('{"args":["--token","hunter2","--verbose","yes"]}')).toBe(
      `{"args":["--token","${hidden('hunter2')}","--verbose","yes"]}`,
    );
  });
});

describe('what is not a secret', () => {
  it('keeps its text: numbers, escapes, order and space', () => {
    const text = '{ "n":9007199254740993, "f":1.0,\t"s":"\\u00e9\\/", "password" : "x" }';
    expect(redactor.json(text)).toBe(
      `{ "n":9007199254740993, "f":1.0,\t"s":"\\u00e9\\/", "password" : "${hidden('x')}" }`,
    );
  });

  it('is the same string when there is nothing to hide', () => {
    const text = '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a token of love"}]}}';
    expect(redactor.json(text)).toBe(text);
  });
});

describe('text in strings', () => {
  const inString = (text: string): string => JSON.parse(redactor.json(JSON.stringify({ text }))).text as string;

  it('is redacted as JSON when it is JSON, at any depth', () => {
    let text = JSON.stringify({ password: 'hunter2', n: 1 });
    for (let depth = 0; depth < 6; depth += 1) text = JSON.stringify({ depth, inner: text });
    const redacted = redactor.json(text);
    expect(redacted).not.toContain('hunter2');
    let value = redacted;
    for (let depth = 0; depth < 6; depth += 1) value = JSON.parse(value).inner as string;
    expect(JSON.parse(value)).toEqual({ password: hidden('hunter2'), n: 1 });
  });

  it.each([
    ['https://user:hunter2@example.com/x', `https://user:${hidden('hunter2')}@example.com/x`],
    ['https://hunter2@example.com/x', `https://${hidden('hunter2')}@example.com/x`],
    ['git clone ssh://git@example.com/x', 'git clone ssh://git@example.com/x'],
    [
      'https://example.com/?a=1&access_token=hunter2#top',
      `https://example.com/?a=1&access_token=${hidden('hunter2')}#top`,
    ],
    ['/message?sessionId=hunter2', `/message?sessionId=${hidden('hunter2')}`],
    ['curl --token hunter2 x', `curl --token ${hidden('hunter2')} x`],
    ['curl --api-key=hunter2 x', `curl --api-key=${hidden('hunter2')} x`],
    ['API_KEY=hunter2 npm start', `API_KEY=${hidden('hunter2')} npm start`],
    ['export DB_PASSWORD="hunter 2"', `export DB_PASSWORD="${hidden('hunter 2')}"`],
    ['Authorization: Bearer hunter2', `Authorization: Bearer ${hidden('hunter2')}`],
    ['Authorization: hunter2', `Authorization: ${hidden('hunter2')}`],
    ['with Basic dXNlcjpwYXNz, yes', `with Basic ${hidden('dXNlcjpwYXNz')}, yes`],
    ['use bearer hunter22222 now', `use bearer ${hidden('hunter22222')} now`],
    ['said {"password": "hunter2"} to me', `said {"password": "${hidden('hunter2')}"} to me`],
    ['name: x\n  password: hunter2\nport: 1', `name: x\n  password: ${hidden('hunter2')}\nport: 1`],
    ['Cookie: a=hunter2', `Cookie: ${hidden('a=hunter2')}`],
  ])('hides the secret in %j', (text, expected) => {
    expect(inString(text)).toBe(expected);
    expect(redactor.text(text)).toBe(expected);
  });

  it.each([
    'The password of the user is required.',
    'token: string\nsecret: required',
    'Bearer authentication is used',
    'see https://example.com/tokens/list',
    'mail me@example.com about the secret',
  ])('leaves documentation alone: %j', (text) => {
    expect(inString(text)).toBe(text);
  });
});

describe('placeholders', () => {
  it('are equal for equal secrets and differ with the key', () => {
    const other = createRedactor({}, (text) => createHmac('sha256', 'another').update(text).digest('hex'));
    const text = '{"password":"hunter2","b":{"token":"hunter2"}}';
    const parsed = JSON.parse(redactor.json(text));
    expect(parsed.password).toBe(parsed.b.token);
    expect(other.json(text)).not.toBe(redactor.json(text));
  });

  it('stay as they are, wherever they are met again', () => {
    const texts = [
      '{"password":"x","url":"https://u:p@h/?token=t","text":"{\\"secret\\":\\"s\\"}","line":"API_KEY=k --token t"}',
      '{"h":"Authorization: Bearer abcdefgh1","c":["--secret","v"]}',
    ];
    for (const text of texts) {
      const once = redactor.json(text);
      expect(once).not.toBe(text);
      expect(redactor.json(once)).toBe(once);
    }
  });

  it('are recognised in a text', () => {
    expect(hasPlaceholder(`a ${hidden('x')} b`)).toBe(true);
    expect(hasPlaceholder('~redacted.~')).toBe(false);
  });
});

describe('values that are known to be secret', () => {
  it('are hidden wherever they occur', () => {
    const text = '{"text":"your session is 1234-5678-abcd, yes 1234-5678-abcd"}';
    expect(redactor.known(text, ['1234-5678-abcd'])).toBe(
      `{"text":"your session is ${hidden('1234-5678-abcd')}, yes ${hidden('1234-5678-abcd')}"}`,
    );
    expect(redactor.known('{"a":"quo\\"ted and long short"}', ['quo"ted and long', 'short'])).toBe(
      `{"a":"${hidden('quo"ted and long')} short"}`,
    );
    expect(redactor.known('nothing', [])).toBe('nothing');
  });
});

describe('hostile text', () => {
  it('is refused when it is nested deeper than can be walked', () => {
    const text = `${'['.repeat(5000)}{"password":"x"}${']'.repeat(5000)}`;
    expect(() => redactor.json(text)).toThrow(/nested deeper/);
  });

  it('takes time in proportion to its length', () => {
    const texts = [
      `password=${'"\\'.repeat(20_000)}`,
      `${'a'.repeat(50_000)}://token`,
      `token ${'-'.repeat(50_000)}`,
      `"password"${' '.repeat(50_000)}:`,
      `secret ${'x='.repeat(20_000)}`,
      `bearer ${'a'.repeat(50_000)}`,
      `token = ${'a.'.repeat(25_000)}`,
      `"token:${' '.repeat(50_000)}`,
      `-----BEGIN PRIVATE KEY-----${'-----BEGIN PRIVATE KEY-----'.repeat(2000)}`,
      `data:text/plain;base64,${'A'.repeat(50_000)}`.repeat(2),
      `eyJ${'a'.repeat(50_000)}.`,
      `{"token": ${'{"a":'.repeat(10_000)}`,
    ];
    for (const text of texts) expect(redactor.text(text).length).toBeGreaterThan(0);
  }, 5000);

  it('hides a string whose nesting has no end', () => {
    let text = JSON.stringify({ password: 'hunter2' });
    for (let depth = 0; depth < 14; depth += 1) text = JSON.stringify([text.slice(0, 5000)]);
    expect(redactor.json(JSON.stringify({ text, token: 'x' }))).not.toContain('hunter2');
  });
});
