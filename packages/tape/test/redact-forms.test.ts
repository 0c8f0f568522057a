import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createRedactor, type Redactor } from '../src/redact.js';
import type { RedactionOptions, SecretFinding } from '../src/redact-rules.js';

const hmac = (text: string): string => createHmac('sha256', 'k').update(text).digest('hex');
const hidden = (secret: string): string => `~redacted.${hmac(secret).slice(0, 16)}~`;
const redactor = createRedactor({}, hmac);

/** Spelled in pieces, so that no scanner takes this file for a leak. */
const token = (...pieces: string[]): string => pieces.join('');

const TOKENS: Readonly<Record<string, string>> = {
  'aws-access-key': token('AKIA', 'IOSFODNN7EXAMPLE'),
  'github-token': token('ghp', '_', 'a1B2'.repeat(9)),
  'gitlab-token': token('glpat', '-', 'x1Y2z3'.repeat(4)),
  'slack-token': token('xox', 'b-', '1234567890-abcdefghij'),
  'slack-webhook': token('hooks.slack', '.com/services/T00000000/B00000000/', 'abcd1234'.repeat(3)),
  'api-key': token('sk', '-ant-', 'api03-abcdefghijklmnop'),
  'stripe-key': token('sk', '_live_', 'abcd1234abcd1234'),
  'google-key': token('AIza', 'Sy', 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q'),
  'package-token': token('npm', '_', 'a1B2c3D4e5F6'.repeat(3)),
  'sendgrid-key': token('SG', '.', 'abcdefghij123456', '.', 'abcdefghij1234567890'),
  'cloud-token': token('dop', '_v1_', 'ab12'.repeat(16)),
  'workspace-token': token('ntn', '_', 'a1B2c3D4'.repeat(5)),
  'age-key': token('AGE-SECRET', '-KEY-1', 'QPZR'.repeat(14), 'QP'),
  jwt: token('eyJ', 'hbGciOiJIUzI1NiJ9', '.', 'eyJzdWIiOiIxMjM0In0', '.', 'c2lnbmF0dXJlIG9mIGl0'),
};

const PEM = token('-----BEGIN RSA ', 'PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA ', 'PRIVATE KEY-----');

function findings(options: RedactionOptions, use: (redactor: Redactor) => unknown): SecretFinding[] {
  const found: SecretFinding[] = [];
  use(createRedactor(options, hmac, (finding) => found.push(finding)));
  return found;
}

describe('secrets by what they look like', () => {
  it.each(Object.entries(TOKENS))('a %s is hidden wherever it stands', (kind, secret) => {
    const text = JSON.stringify({ text: `it is ${secret}, ok`, list: [secret], [secret]: 1 });
    const redacted = redactor.json(text);
    expect(JSON.parse(redacted)).toEqual({
      text: `it is ${hidden(secret)}, ok`,
      list: [hidden(secret)],
      [hidden(secret)]: 1,
    });
    expect(new Set(findings({}, (own) => own.json(text)).map((found) => found.kind))).toEqual(new Set([kind]));
    expect(redactor.text(`a\n${secret}\nb`)).toBe(`a\n${hidden(secret)}\nb`);
  });

  it('a private key is hidden as a whole, with its end or without', () => {
    expect(redactor.text(`KEY:\n${PEM}\nafter`)).toBe(`KEY:\n${hidden(PEM)}\nafter`);
    expect(redactor.json(JSON.stringify({ text: PEM }))).toBe(JSON.stringify({ text: hidden(PEM) }));
    const lines = JSON.parse(redactor.json(JSON.stringify({ lines: ['a', ...PEM.split('\n'), 'b'] }))) as {
      lines: string[];
    };
    expect(lines.lines.slice(2, 4)).toEqual([hidden('MIIEow'), hidden('IBAAKC')]);
    expect([lines.lines[0], lines.lines[5]]).toEqual(['a', 'b']);
    expect(redactor.text(`export PRIVATE_KEY="${PEM.slice(0, 45)}`)).not.toContain('MIIE');
  });

  it.each([
    'task-management-with-many-words-in-it',
    'a disk-usage-of-the-machine-in-percent-2024',
    'npm_config_registry',
    'AKIA is a prefix',
    'eyJ.eyJ.x',
    'ask-me-anything-about-the-weather',
    '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----',
    'sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    '3f2a91bc-1234-4321-abcd-0123456789ab',
  ])('%j is none', (text) => {
    expect(redactor.json(JSON.stringify({ text }))).toBe(JSON.stringify({ text }));
    expect(redactor.text(text)).toBe(text);
  });
});

describe('a key that names a secret half of the time', () => {
  const random = token('d41d8cd98f00', 'b204e9800998ecf8');

  it('does so when its value looks like one', () => {
    expect(redactor.json(`{"key":"${random}"}`)).toBe(`{"key":"${hidden(random)}"}`);
    expect(redactor.text(`AUTH=${random}`)).toBe(`AUTH=${hidden(random)}`);
  });

  it.each([
    'color',
    'settings.theme-of-the-editor',
    '3f2a91bc-1234-4321-abcd-0123456789ab',
    'aVeryLongNameInCamelCase',
  ])('and does not with %s', (value) => {
    const text = JSON.stringify({ key: value, note: `key=${value}`, digest: random });
    expect(redactor.json(text)).toBe(text);
  });
});

describe('what stands for a secret', () => {
  it.each([`\${DB_PASSWORD}`, '$API_KEY', '<your token>', '{{ token }}', '********', '[REDACTED]', 'xxxx', ''])(
    '%j is left',
    (value) => {
      const text = JSON.stringify({ password: value, line: `PASSWORD=${value}` });
      expect(redactor.json(text)).toBe(text);
    },
  );
});

describe('text in text', () => {
  const inText = (text: string): string => redactor.text(text);

  it('JSON in the middle of a line is redacted as JSON', () => {
    expect(inText('12:00 sent {"args":["--token","hunter2"],"secret":{"a":"hunter3"}} ok')).toBe(
      `12:00 sent {"args":["--token","${hidden('hunter2')}"],"secret":{"a":"${hidden('hunter3')}"}} ok`,
    );
    expect(inText('credentials = {"a":"hunter2"}')).toBe(`credentials = {"a":"${hidden('hunter2')}"}`);
  });

  it('JSON whose quotes are escaped is redacted', () => {
    expect(inText(String.raw`sent {\"password\": \"hunter2\", \"n\": 1}`)).toBe(
      String.raw`sent {\"password\": \"${hidden('hunter2')}\", \"n\": 1}`,
    );
  });

  it('each line of an NDJSON log is redacted', () => {
    expect(inText('{"a":1}\n{"password":"hunter2"}\n')).toBe(`{"a":1}\n{"password":"${hidden('hunter2')}"}\n`);
  });

  it('base64 of text is redacted where it says that it is text', () => {
    const blob = btoa('API_KEY=hunter2\n');
    const resource = { uri: 'file:///.env', mimeType: 'text/plain', blob };
    const redacted = JSON.parse(redactor.json(JSON.stringify(resource))) as typeof resource;
    expect(atob(redacted.blob)).toBe(`API_KEY=${hidden('hunter2')}\n`);
    const image = JSON.stringify({ ...resource, mimeType: 'image/png' });
    expect(redactor.json(image)).toBe(image);
    expect(inText(`see data:text/plain;base64,${blob}`)).toBe(
      `see data:text/plain;base64,${btoa(`API_KEY=${hidden('hunter2')}\n`)}`,
    );
  });

  it('lists of header fields are redacted', () => {
    expect(redactor.json('{"h":[["X-Api-Key","hunter2"],["Accept","a"]],"raw":["Cookie","a=b","Host","h"]}')).toBe(
      `{"h":[["X-Api-Key","${hidden('hunter2')}"],["Accept","a"]],"raw":["Cookie","${hidden('a=b')}","Host","h"]}`,
    );
  });

  it('a quoted value ends at its quote, whatever is in it', () => {
    expect(inText('PASSWORD="two\nlines" next')).toBe(`PASSWORD="${hidden('two\nlines')}" next`);
    expect(inText('{"n": 1, "password": "hunt')).toBe(`{"n": 1, "password": "${hidden('hunt')}`);
    expect(inText('PASSWORD="a\\"b" next')).toBe(`PASSWORD="${hidden('a\\"b')}" next`);
  });
});

describe('commands, settings and programs', () => {
  it.each([
    [`curl -H "X-Auth-Token: S" https://h/`],
    [`curl -H 'Authorization: Bearer S' https://h/`],
    [`user:me\npassword:S\n`],
    ['host=h;User Id=a;Password=S;'],
    ['postgres://app:S@db/app'],
    [`const apiKey = 'S';`],
    ['$env:API_KEY = "S"'],
    ['password = S'],
    ['[a]\r\nclient_secret: S\r\nb: 1\r\n'],
  ])('%j holds a secret', (text) => {
    expect(redactor.text(text.replace('S', 'hunter2'))).toBe(text.replace('S', hidden('hunter2')));
  });

  it.each([
    'const token = parser.next();',
    'token = await getToken(user)',
    'password = process.env.DB_PASSWORD',
    'self.secret = options.secret',
    'interface A {\n  token: string;\n  password?: string;\n}',
    'def f(\n  token: str,\n): ...',
    'secret:\n  name: a',
    'token://not/a/key',
  ])('%j holds none', (text) => {
    expect(redactor.text(text)).toBe(text);
    expect(redactor.json(JSON.stringify({ text }))).toBe(JSON.stringify({ text }));
  });
});

describe('equal secrets', () => {
  it('are equal in a header, an argument, a URL, an environment, a command line and JSON in text', () => {
    const text = JSON.stringify({
      headers: { Authorization: 'Bearer hunter2hunter2' },
      token: 'hunter2hunter2',
      url: 'https://h/?token=hunter2hunter2',
      env: 'TOKEN=hunter2hunter2',
      argv: ['--token', 'hunter2hunter2'],
      text: '{"token":"hunter2hunter2"}',
    });
    const redacted = redactor.json(text);
    expect(redacted).toBe(text.replaceAll('hunter2hunter2', hidden('hunter2hunter2')));
  });
});

describe('what a project says', () => {
  it('patterns hide what they match, or their first group', () => {
    const own = createRedactor({ patterns: ['EMP-\\d{4}', 'badge (\\d+)'] }, hmac);
    expect(own.json('{"text":"EMP-1234 has badge 77"}')).toBe(
      `{"text":"${hidden('EMP-1234')} has badge ${hidden('77')}"}`,
    );
    expect(own.json(own.json('{"text":"EMP-1234"}'))).toBe(`{"text":"${hidden('EMP-1234')}"}`);
  });

  it('patterns that depend on what is around them are tried on each string', () => {
    const own = createRedactor({ patterns: ['^\\d{6}$'] }, hmac);
    expect(own.json('{"pin":"123456","n":"1234567"}')).toBe(`{"pin":"${hidden('123456')}","n":"1234567"}`);
  });

  it('values that are known are hidden, also where JSON spells them otherwise', () => {
    const own = createRedactor({ values: ['s3cr3t "quoted"', 'short'] }, hmac);
    expect(own.json('{"text":"say s3cr3t \\"quoted\\", short"}')).toBe(
      `{"text":"say ${hidden('s3cr3t "quoted"')}, short"}`,
    );
  });

  it('keys and values can be allowed; the longest key counts', () => {
    const own = createRedactor({ allow: ['csrf token', '/test-\\w+/', 'token'] }, hmac);
    expect(own.json('{"csrfToken":"a","token":"b","accessToken":"c","password":"test-1","secret":"xtest-1"}')).toBe(
      `{"csrfToken":"a","token":"b","accessToken":"${hidden('c')}","password":"test-1","secret":"${hidden('xtest-1')}"}`,
    );
    expect(own.text('TOKEN=a PASSWORD=test-1 PASSWORD=b')).toBe(`TOKEN=a PASSWORD=test-1 PASSWORD=${hidden('b')}`);
  });

  it('nothing is hidden when that is wanted, session ids apart', () => {
    const own = createRedactor({ off: true }, hmac);
    const text = `{"password":"hunter2","text":"${TOKENS['github-token']}"}`;
    expect(own.json(text)).toBe(text);
    expect(own.text(text)).toBe(text);
    expect(own.header('mcp-param-token', 'a')).toBe('a');
    expect(own.known('session 1234-5678-abcd', ['1234-5678-abcd'])).toBe(`session ${hidden('1234-5678-abcd')}`);
    expect(own.policy).toBe('none');
  });

  it('is told by the policy, apart from values', () => {
    const policies = [{}, { keys: ['a'] }, { allow: ['a'] }, { patterns: ['a'] }].map(
      (options) => createRedactor(options, hmac).policy,
    );
    expect(new Set(policies).size).toBe(4);
    expect(createRedactor({ values: ['12345678'] }, hmac).policy).toBe(redactor.policy);
  });
});

describe('findings', () => {
  it('say where and why, and never what', () => {
    const text = JSON.stringify({
      'a/b': [{ text: '{"password":"hunter2"}' }],
      url: 'https://u:hunter2@h/',
      api_key: 'hunter2',
    });
    const found = findings({}, (own) => own.json(text));
    expect(found).toEqual([
      { kind: 'key', name: 'password', pointer: '/a~1b/0/text#/password' },
      { kind: 'url-password', pointer: '/url' },
      { kind: 'key', name: 'api_key', pointer: '/api_key' },
    ]);
    expect(findings({}, (own) => own.header('mcp-param-token', 'x'))).toEqual([
      { kind: 'header', name: 'mcp-param-token', pointer: '' },
    ]);
  });

  it('are none for placeholders', () => {
    const once = redactor.json('{"password":"hunter2","t":"TOKEN=a https://u:p@h/"}');
    expect(findings({}, (own) => own.json(once))).toEqual([]);
  });
});
