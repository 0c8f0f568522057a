import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config/file.js';

/** `yaml`, and every line that is said about it. */
const WRONG: readonly (readonly [what: string, yaml: string, problems: readonly string[]])[] = [
  ['a key nobody knows', 'listen: 127.0.0.1:1\nfoo: 1\n', ['f.yaml:2:1: unknown key "foo"']],
  ['a misspelt key', 'lisen: 127.0.0.1:1\n', ['f.yaml:1:1: unknown key "lisen" (did you mean listen?)']],
  ['a key in camel case', 'sessionIdle: 1h\n', ['f.yaml:1:1: unknown key "sessionIdle" (did you mean session-idle?)']],
  [
    'a key with underscores',
    'max_children: 1\n',
    ['f.yaml:1:1: unknown key "max_children" (did you mean max-children?)'],
  ],
  [
    'a duration without a unit',
    '# comment\nsession-idle: 30\n',
    ['f.yaml:2:15: session-idle: "30" is not a duration: write it with its unit, as 500ms, 30s, 5m or 2h'],
  ],
  [
    'several errors',
    'listen: nowhere\nmax-children: 0\nupstreem: x\n',
    [
      'f.yaml:1:9: listen: "nowhere" is not an address to listen on: write host:port, as 127.0.0.1:8787 or [::1]:8787, or a port alone',
      'f.yaml:2:15: max-children: "0" is not a number in range: write a whole number from 1 to 10000',
      'f.yaml:3:1: unknown key "upstreem" (did you mean upstream?)',
    ],
  ],
  [
    'an item of a list',
    'upstream:\n  - http://a/mcp\n  - b\n',
    [
      'f.yaml:3:5: upstream: "b" is not a server address: write a URL, as http://localhost:3000/mcp (also https, ws, wss, sse+http, sse+https)',
    ],
  ],
  ['an item that is no text', 'upstream:\n  - [http://a]\n', ['f.yaml:2:5: upstream: each item must be a url']],
  ['a list where one value belongs', 'listen: [a, b]\n', ['f.yaml:1:9: listen: expected host:port, found a list']],
  [
    'a mapping where one value belongs',
    'listen:\n  port: 1\n',
    ['f.yaml:2:3: listen: expected host:port, found a mapping'],
  ],
  [
    'a mapping where a list belongs',
    'upstream:\n  a: b\n',
    ['f.yaml:2:3: upstream: expected a list of url, found a mapping'],
  ],
  [
    'a command for a shell',
    'command: npx -y server\n',
    ['f.yaml:1:10: command: write the words as a list, such as [npx, -y, server]: no shell splits them'],
  ],
  ['a header without a value', 'header:\n  x-key:\n', ['f.yaml:2:9: header: "x-key" needs a text as its value']],
  [
    'a line that is no YAML',
    'listen: 127.0.0.1:1\nstore: [\n',
    [
      'f.yaml:2:1: store: not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
  ],
  ['a quote that never ends', 'token: "abc\n', ['f.yaml:1:1: token: not valid YAML: Missing closing "quote']],
  ['a tab', 'upstream:\n\t- http://a\n', ['f.yaml:2:1: upstream: a tab cannot indent YAML: use spaces']],
  [
    'two colons in a line',
    'listen: a: b\n',
    ['f.yaml:1:9: listen: not valid YAML: a value that holds a colon needs quotes around it'],
  ],
  ['a key twice', 'path: /a\npath: /b\n', ['f.yaml:2:1: path: this key is there twice: keep one']],
  [
    'two documents',
    'path: /a\n---\npath: /b\n',
    ['f.yaml:2:1: path: only one YAML document is read: remove the --- line'],
  ],
  [
    'a list at the top',
    '- a\n',
    ['f.yaml:1:1: the file must hold "key: value" lines, such as "listen: 127.0.0.1:8787"'],
  ],
  [
    'a text at the top',
    'hello\n',
    ['f.yaml:1:1: the file must hold "key: value" lines, such as "listen: 127.0.0.1:8787"'],
  ],
  ['an alias', 'path: &p /a\nrecord: *p\n', ['f.yaml:2:9: record: write the value here: aliases are not followed']],
];

describe('a configuration file that is wrong', () => {
  it.each(WRONG)('%s is named with its place and key', (_what, yaml, problems) => {
    expect(readConfig('f.yaml', yaml).problems).toEqual(problems);
  });

  it('does not repeat secrets', () => {
    const yaml = 'token: hunter2 with spaces\nheader:\n  - hunter2\nenv: ["1hunter2=x"]\n';
    const { problems } = readConfig('f.yaml', yaml);
    expect(problems).toHaveLength(3);
    expect(problems.join()).not.toContain('hunter2');
  });
});

describe('a configuration file that is right', () => {
  const texts = (yaml: string): unknown => {
    const { entries, problems } = readConfig('f.yaml', yaml);
    expect(problems).toEqual([]);
    return Object.fromEntries([...entries].map(([name, entry]) => [name, entry.items.map((item) => item.text)]));
  };

  it.each<[string, string, unknown]>([
    ['nothing', '', {}],
    ['only comments', '# a\n', {}],
    ['a key without a value', 'upstream:\n', {}],
    [
      'numbers and booleans',
      'listen: 8787\nno-auth: true\nmax-children: 3\n',
      { listen: ['8787'], 'no-auth': ['true'], 'max-children': ['3'] },
    ],
    ['one value for a list', 'upstream: http://a/mcp\n', { upstream: ['http://a/mcp'] }],
    ['a list', 'command: [node, server.js, --port, 1]\n', { command: ['node', 'server.js', '--port', '1'] }],
    ['a mapping for pairs', 'header:\n  x-key: 007\n  x-on: true\n', { header: ['x-key=007', 'x-on=true'] }],
    ['a list for pairs', 'env: [A=1, B]\n', { env: ['A=1', 'B'] }],
    ['quoted texts', 'session-idle: "1h"\n', { 'session-idle': ['1h'] }],
  ])('may hold %s', (_what, yaml, expected) => {
    expect(texts(yaml)).toEqual(expected);
  });

  it('survives what would blow up a naive reader', () => {
    const bomb = `a: &a [x, x]\n${'bcdefghij'
      .split('')
      .map((name, index) => `${name}: &${name} [${`*${'abcdefghij'[index]}, `.repeat(9)}x]\n`)
      .join('')}`;
    expect(readConfig('f.yaml', bomb).problems.length).toBeGreaterThan(0);
    expect(readConfig('f.yaml', '['.repeat(5000)).problems).toHaveLength(1);
    expect(readConfig('f.yaml', '__proto__: {a: 1}\nconstructor: 1\n').problems).toHaveLength(2);
  });
});
