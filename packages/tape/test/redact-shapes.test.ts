import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { KeyLines } from '../src/key-lines.js';
import { createRedactor } from '../src/redact.js';

const hmac = (text: string): string => createHmac('sha256', 'k').update(text).digest('hex');
const hidden = (secret: string): string => `~redacted.${hmac(secret).slice(0, 16)}~`;
const redactor = createRedactor({}, hmac);

/** Put together here, so that nobody takes this file for a leak. */
const token = (...parts: readonly string[]): string => parts.join('');
const TYPED = 'hunter2Zq';
const RANDOM = 'Zk8vQ2nPx7LmR4tW9bYc';
const HEX = 'ab12cd34'.repeat(4);

/** `§` is where the secret stands, `¤` where one that looks random stands. */
const SHAPES: readonly string[] = [
  // Command lines.
  'curl -u alice:§ https://h/x',
  'curl -sSu "alice:§" https://h/x',
  "curl -X POST \\\n  --user 'alice:§' \\\n  https://h/x",
  'curl -ualice:§ --proxy-user=bob:§ https://h',
  "curl -b 'sid=¤' https://h",
  'mysql -u root -p§ db',
  'mysqldump -h h -uroot -p§ db > x.sql',
  'sshpass -p § ssh a@h',
  'docker login -u alice -p § reg.example.com',
  'redis-cli -h h -a § ping',
  'zip -P § x.zip',
  '7z x -p§ a.7z',
  'ldapsearch -D cn=admin -w §',
  'smbclient //h/s -U alice%§',
  'openssl rsa -passin pass:§ -in k',
  'keytool -storepass § -keypass §',
  'java -Dpassword=§ -jar x',
  'kubectl create secret generic s --from-literal=password=§',
  'app.exe /password:§',
  'ConvertTo-SecureString "§" -AsPlainText -Force',
  // Environments.
  'PGPASSWORD=§ psql -h h',
  'DB_PASS=§',
  'ROOT_PW=§',
  'HOME=/root\0DB_PASSWORD=§\0PATH=/bin',
  'setx API_KEY §',
  'set -gx API_KEY §',
  'ENV DB_PASSWORD §',
  // Settings.
  'password: § # the one of the test system',
  'password: |\n  §\n  second line\nother: 1',
  'client_secret: >-\n  §\nother: 1',
  'secret:\n  primary: §\nother: x',
  'api_keys:\n- §\n- other\nname: y',
  'db: {user: a, password: §, host: h}',
  "db: {user: a, password: '§', host: h}",
  'env:\n  - name: DB_PASSWORD\n    value: §\n',
  '"password": §',
  '<user>a</user><password>§</password>',
  '<add key="ApiKey" value="§" />',
  '<input type="password" name="password" value="§">',
  'machine h.example.com login alice password §',
  'machine h\n  login alice\n  password §\n',
  '[mail]\nuser=a\npass=§',
  'secret = """\n§\n"""',
  'variable "db_password" {\n  default = "§"\n}',
  `--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n§\r\n--b--`,
  "CREATE USER 'a'@'h' IDENTIFIED BY '§';",
  "ALTER ROLE a WITH PASSWORD '§';",
  // Programs and what they print.
  "{password: '§', a: 1}",
  '{\n  password: "§",\n}',
  "{'password': b'§'}",
  '{:user=>"a", :password=>"§"}',
  "array('password' => '§')",
  '{User:a Password:§ Host:h}',
  'Config { user: "a", password: "§" }',
  "Password: '§', User: 'a'",
  '12:00 login failed, password: §',
  'the password is §.',
  // URLs and connection strings.
  'postgres://app:p@§@db/app',
  'jdbc:oracle:thin:scott/§@//h:1521/x',
  'SERVER=h;UID=a;PWD=§;',
  'https://h/login?next=https%3A%2F%2Fi%2F%3Ftoken%3D§',
  'https%3A%2F%2Falice%3A§%40h',
  'https://app/cb?code=¤&state=xyz',
  'https://h/reset-password/¤',
  'https://f.example.net/api?code=¤',
  'https://app/cb#access_token=§&token_type=x',
  // Header fields.
  'Authorization: Token token="¤"',
  'Authorization: Digest username="a", response="¤", nonce="x"',
];

describe('a secret stands in many ways', () => {
  it.each(SHAPES)('%j', (shape) => {
    const planted = shape.replaceAll('§', TYPED).replaceAll('¤', RANDOM);
    expect(planted).not.toBe(shape);
    for (const shown of [redactor.text(planted), stringIn(redactor.json(JSON.stringify({ text: planted })))]) {
      expect(shown).not.toContain(TYPED);
      expect(shown).not.toContain(RANDOM);
      expect(redactor.text(shown)).toBe(shown);
    }
  });
});

const stringIn = (json: string): string => (JSON.parse(json) as { text: string }).text;

describe('formats of tokens', () => {
  it.each([
    token('https://discord.com/api/webhooks/', '123456789012345678/', RANDOM, RANDOM, RANDOM, 'abcd'),
    token(
      'https://acme.webhook.office.com/webhookb2/',
      '11111111-2222-3333-4444-555555555555@',
      '11111111-2222-3333-4444-555555555555/IncomingWebhook/',
      HEX,
      '/11111111-2222-3333-4444-555555555555',
    ),
    token('https://api.telegram.org/bot', '123456789:AA', RANDOM, 'abcdefghijklm', '/send'),
    token('alice:$2b$12$', RANDOM, RANDOM, 'abcdefghijklm'),
    token('root:$6$abcdEFgh$', RANDOM, ':18000:0'),
    token('glsa', '_', RANDOM, 'abcdefghijkl', '_ab12cd34'),
    token('NRAK', '-A1B2C3D4E5F6G7H8I9J0K1L2M3N'),
    token('pul', '-', HEX, 'ab12cd34'),
    token('sq0', 'atp-', RANDOM, 'ab'),
    token('eyJ', 'hbGciOiJub25lIn0', '.', 'eyJzdWIiOiIxMjM0NTY3ODkwIn0', '.'),
  ])('%s', (secret) => {
    const shown = stringIn(redactor.json(JSON.stringify({ text: `see ${secret} there` })));
    expect(shown).toContain('~redacted.');
    for (const part of [RANDOM, HEX, 'A1B2C3D4', 'eyJzdWI']) expect(shown).not.toContain(part);
  });

  it('are found although the writer of the JSON escapes slashes, as PHP does', () => {
    const secret = token('hooks.slack.com/services/', 'T00000000/B00000000/', 'XyZ1abcd'.repeat(3));
    const json = `{"text":"${`https://${secret}`.replaceAll('/', '\\/')}"}`;
    expect(redactor.json(json)).not.toContain('XyZ1abcd');
  });

  it('a private key is hidden in the formats of PuTTY and SSH2 too', () => {
    for (const text of [
      token('Private-Lines: 1\n', RANDOM, '\nPrivate-MAC: ', HEX),
      token(
        '---- BEGIN SSH2 ENCRYPTED ',
        'PRIVATE KEY ----\nComment: x\n',
        RANDOM,
        '\n---- END SSH2 ENCRYPTED ',
        'PRIVATE KEY ----',
      ),
    ]) {
      expect(redactor.text(text)).not.toContain(RANDOM);
      expect(redactor.text(text)).not.toContain(HEX);
    }
  });

  it('a mention of a private key hides what looks like one behind it, and no more', () => {
    const text = token('It begins with -----BEGIN ', 'PRIVATE KEY-----. What follows (and there is much) is text.');
    expect(redactor.text(text)).toContain('(and there is much) is text.');
  });
});

describe('what stands beside a value says that it is a secret', () => {
  it.each([
    { user: 'a', pass: TYPED },
    { text: JSON.stringify({ kty: 'oct', k: TYPED }) },
    { kty: 'RSA', n: 'public', d: TYPED, p: TYPED },
    { kind: 'Secret', data: { config: TYPED }, stringData: { any: TYPED } },
    { command: 'curl', args: ['-u', `alice:${TYPED}`, 'https://h'] },
    { argv: ['/usr/bin/mysql', '-u', 'root', `-p${TYPED}`] },
    { argv: ['docker', 'login', '-p', TYPED] },
    { auth: btoa(`alice:${TYPED}`) },
    { otp: TYPED, cvv: TYPED },
  ])('%j', (value) => {
    const shown = redactor.json(JSON.stringify(value));
    expect(shown).not.toContain(TYPED);
    expect(shown).not.toContain(btoa(`alice:${TYPED}`));
    expect(redactor.json(shown)).toBe(shown);
  });

  it('base64 of text is redacted whatever its MIME type says, JSON in it too', () => {
    const inner = JSON.stringify({ note: 'a longer text', password: TYPED });
    const blob = { mimeType: 'application/octet-stream', blob: btoa(inner) };
    const shown = JSON.parse(redactor.json(JSON.stringify(blob))) as typeof blob;
    expect(JSON.parse(atob(shown.blob))).toEqual({ note: 'a longer text', password: hidden(TYPED) });
    expect(redactor.text(`payload=${btoa(`API_KEY=${TYPED}\nother=1\n`)} sent`)).toBe(
      `payload=${btoa(`API_KEY=${hidden(TYPED)}\nother=1\n`)} sent`,
    );
  });
});

describe('what is no secret', () => {
  it.each([
    'if (token === "(" || token == null) {',
    'const cookie = require("cookie");',
    'export type Token = SourceToken | ErrorToken;',
    'export type Cookie = Record<string, string>;',
    'module.exports.getPassword = function getPassword(service) {',
    '  clientSecret: z.string().optional(),',
    '  privateKey: process.env.PRIVATE_KEY,',
    '  resumptionToken: lastEventId,',
    'this.token = token;',
    'const pattern = token.length === 1 ? a : b',
    'fetch(url, { credentials: "include" })',
    'id-token: write # for provenance',
    'You can test for basic JavaScript types, over basic HTTP/1.1 too.',
    '**Custom Authorization:**',
    'see /list?key=name&auth=none',
    `-H "Authorization: Bearer \${{ secrets.TOKEN }}"`,
    'headers: { Authorization: `Bearer $'.concat('{token}` }'),
    'docker run -u 1000:1000 -p 8080:80 image',
    'git commit -a -p',
    'PWD=/srv/alice',
    'the token is base64-encoded, the secret is 12 characters',
    'Release key: 9554F04D7259F04124DE6B476D5A82AC7E37093B',
    'secret:\n  name: a\n  type: Opaque',
    'password: your-password',
  ])('%j', (text) => {
    expect(redactor.text(text)).toBe(text);
  });

  it.each([
    {
      dependencies: { cookie: '^0.7.1', '@octokit/auth-token': '^6.0.0' },
      exports: { './cookie': './dist/cookie.js' },
    },
    { $defs: { apiKey: { required: ['type'], properties: { type: { enum: ['apiKey'] } } } } },
    { usage: { total_tokens: 12, max_tokens: 100 }, nextPageToken: 'abc', keys: ['a'], tokenizer: 'x' },
    {
      sha: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
      id: '3f2a91bc-1234-4321-abcd-0123456789ab',
    },
    { image: btoa(String.fromCharCode(...Array.from({ length: 600 }, (_, at) => (at * 37) % 256))) },
  ])('%j', (value) => {
    const text = JSON.stringify(value);
    expect(redactor.json(text)).toBe(text);
  });
});

describe('lines that come one by one', () => {
  const shown = (lines: readonly string[]): string => {
    const inside = new KeyLines(redactor.isSecret);
    return lines.map((line) => (inside.isInside('err', line) ? '(hidden)' : redactor.text(line))).join('\n');
  };

  it.each([
    ['{', '  "secret": {', `    "inner": "${TYPED}"`, '  },', '  "after": 1', '}'],
    ['  "args": [', '    "--password",', `    "${TYPED}",`, '    "after"'],
    ['password: |', `  ${TYPED}`, '  more', 'after: 1'],
    ['api_keys:', `- ${TYPED}`, 'after: 1'],
  ])('hide what stands below a secret: %j', (...lines) => {
    const text = shown(lines);
    expect(text).not.toContain(TYPED);
    expect(text).toContain('after');
  });

  it('go on when what began has no end', () => {
    const text = shown(['"secret": {', ...Array.from({ length: 400 }, (_, at) => `line ${at}`)]);
    expect(text).not.toContain('line 100');
    expect(text).toContain('line 399');
  });
});

describe('hostile text', () => {
  it('takes time in proportion to its length, whatever is repeated', () => {
    const units = [
      token('-----BEGIN ', 'PRIVATE KEY-----'),
      'eyJ',
      'eyJaaaaaaaaaaaaa.',
      'password="""',
      'key=',
      'key="',
      'password:',
      'password: "\n',
      'secret:\n- a\n',
      'password: |\n',
      ' --token a',
      '<password ',
      'name="password" ',
      'variable "password" {',
      'curl -u ',
      'curl -b a=',
      '%26a%3D',
      '/token/',
      'Private-Lines: 1\n',
      btoa('API_KEY=hunter2Zq '),
      'machine a login b ',
      'password is ',
      '{password:',
      'http://',
    ];
    for (const unit of units) expect(redactor.text(unit.repeat(Math.ceil(120_000 / unit.length)))).not.toBe('');
    for (const unit of units) expect(redactor.text(`token ${unit}${'a'.repeat(120_000)}`)).not.toBe('');
  }, 30_000);
});

describe('what a project says', () => {
  it('hides the first group where it stands, not its text elsewhere in the match', () => {
    const own = createRedactor({ patterns: ['id=(\\w+)'] }, hmac);
    expect(own.text('id=d')).toBe(`id=${hidden('d')}`);
  });

  it('hides the longer one of two values that begin alike', () => {
    const own = createRedactor({ values: ['abcd1234', 'abcd1234efgh'] }, hmac);
    expect(own.text('it is abcd1234efgh')).toBe(`it is ${hidden('abcd1234efgh')}`);
  });
});
