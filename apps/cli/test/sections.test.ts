import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config/file.js';
import { SECTION_SPECS } from '../src/sections/sections.js';
import type { ReverseConfig } from '../src/stack/contract.js';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const UPSTREAMS = 'upstreams:\n  a: http://a.example/mcp\n  b: { url: http://b.example/mcp, weight: 3, priority: 1 }\n';

/** What `reverse` would run with this file. */
async function reverse(file: string, argv: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const cwd = emptyDirectory({ 'shadowcat.yaml': file });
  const { code, err, started } = await shadowcat(['reverse', ...argv], { cwd, env });
  return { code, err, config: started[0]?.config as ReverseConfig, cwd };
}

async function check(file: string): Promise<string> {
  const { code, err } = await shadowcat(['config', 'check'], { cwd: emptyDirectory({ 'shadowcat.yaml': file }) });
  expect(code).toBe(2);
  return err;
}

describe('upstreams by name', () => {
  it('are one group where none is named', async () => {
    const { config } = await reverse(UPSTREAMS);
    expect(config.targets).toEqual([
      { kind: 'url', transport: 'http', name: 'a', url: 'http://a.example/mcp' },
      { kind: 'url', transport: 'http', name: 'b', url: 'http://b.example/mcp', weight: 3, priority: 1 },
    ]);
    expect(config.groups).toEqual([
      { name: 'default', members: ['a', 'b'], balance: 'round-robin', hashOn: 'credential', slowStartMs: 0 },
    ]);
    expect(config.routes).toEqual([]);
  });

  it('may be commands, with variables and a directory of their own', async () => {
    const file = `env: { ALL: "1" }\nupstreams:\n  one: { command: [node, -e, "0"], env: { OWN: "2" }, max-children: 3 }\n  two: { command: node, cwd: . }\n`;
    const { config, cwd } = await reverse(file);
    expect(config.targets).toEqual([
      {
        kind: 'command',
        name: 'one',
        command: 'node',
        args: ['-e', '0'],
        cwd,
        env: { ALL: '1', OWN: '2' },
        maxChildren: 3,
      },
      { kind: 'command', name: 'two', command: 'node', args: [], cwd, env: { ALL: '1' } },
    ]);
  });

  it('may have headers of their own, which are shown masked', async () => {
    const file = 'upstreams:\n  a: { url: http://a.example/mcp?key=secret, headers: { X-Key: secret } }\n';
    const { config, cwd } = await reverse(file);
    expect(config.targets[0]).toMatchObject({ headers: { 'x-key': 'secret' } });
    for (const format of ['table', 'json', 'yaml']) {
      const { out } = await shadowcat(['config', 'show', '--format', format], { cwd });
      expect(out).not.toContain('secret');
      expect(out).toContain('x-key=***');
    }
  });

  it('give way to a server on the command line, with all that is said about them', async () => {
    const { config } = await reverse(`${UPSTREAMS}groups:\n  g: { members: [a, b] }\n`, [
      '--upstream',
      'x=http://x.example/mcp',
    ]);
    expect(config.targets.map(({ name }) => name)).toEqual(['x']);
    expect(config.groups.map(({ name, members }) => ({ name, members }))).toEqual([
      { name: 'default', members: ['x'] },
    ]);
  });

  it('are shown as one server where that is said, and then a member may be a group', async () => {
    const flag = await reverse(UPSTREAMS, ['--combine', 'always']);
    expect(flag.config.groups).toMatchObject([{ name: 'default', members: ['a', 'b'], combine: 'always' }]);
    const file = `${UPSTREAMS}list-timeout: 1s\ngroups:\n  pair: { members: [a, b] }\n  all: { members: [pair, a], combine: collisions }\n  default: { members: b }\n`;
    const { config } = await reverse(file);
    expect(config.groups.map(({ name, members, combine }) => ({ name, members, combine }))).toEqual([
      { name: 'default', members: ['b'], combine: undefined },
      { name: 'pair', members: ['a', 'b'], combine: undefined },
      { name: 'all', members: ['pair', 'a'], combine: 'collisions' },
    ]);
    expect(config.upstream.listTimeoutMs).toBe(1000);
  });

  it('may be named in a list, too, for groups to refer to', async () => {
    const file =
      'upstream: [a=http://a.example/mcp, "b=http://b.example/mcp?x=y"]\ngroups:\n  g: { members: [a, b] }\n';
    expect((await reverse(file)).config.targets).toMatchObject([
      { name: 'a', url: 'http://a.example/mcp' },
      { name: 'b', url: 'http://b.example/mcp?x=y' },
    ]);
  });
});

describe('groups', () => {
  it('share as they say, else as is said for all; the one named default is for what matches no route', async () => {
    const file = `${UPSTREAMS}balance: random\nslow-start: 1m\ngroups:
  one: { members: a }
  default: { members: [a, b], balance: hash, hash-on: "header:X-User", slow-start: 30s }\n`;
    expect((await reverse(file)).config.groups).toEqual([
      { name: 'default', members: ['a', 'b'], balance: 'hash', hashOn: { header: 'x-user' }, slowStartMs: 30_000 },
      { name: 'one', members: ['a'], balance: 'random', hashOn: 'credential', slowStartMs: 60_000 },
    ]);
  });

  it('are the first one where none is named default', async () => {
    const file = `${UPSTREAMS}groups:\n  one: { members: a }\n  two: { members: b }\n`;
    expect((await reverse(file)).config.groups.map(({ name }) => name)).toEqual(['one', 'two']);
  });
});

describe('routes', () => {
  it('lead to a group, or to one upstream', async () => {
    const token = createHash('sha256').update('Bearer abc');
    const file = `${UPSTREAMS}groups:
  g: { members: a }
routes:
  - match: { path: /team-a/mcp/, header: { X-Team: "a*" } }
    to: g
  - match: { method: tools/call, tool: [read_*, list], credential: ["env:TOKEN", "sha256:${token.copy().digest('hex')}", none] }
    to: b\n`;
    const { config } = await reverse(file, [], { TOKEN: 'abc' });
    const fingerprint = token.digest('base64url');
    expect(config.routes).toEqual([
      { match: { path: '/team-a/mcp', headers: { 'x-team': 'a*' } }, to: 'g' },
      {
        match: { methods: ['tools/call'], tools: ['read_*', 'list'], credentials: [fingerprint, fingerprint, ''] },
        to: 'b',
      },
    ]);
    expect(config.groups.map(({ name, members }) => ({ name, members }))).toEqual([
      { name: 'g', members: ['a'] },
      { name: 'b', members: ['b'] },
    ]);
  });
});

describe('what is wrong', () => {
  it.each<[what: string, file: string, message: RegExp]>([
    [
      'a name that is none',
      'upstreams: { "a b": http://a.example }',
      /shadowcat.yaml:1:14: upstreams.a b: this is no name/,
    ],
    [
      'no mapping',
      'upstreams: [http://a.example]',
      /shadowcat.yaml:1:12: upstreams: expected a mapping of names to .*, found a list/,
    ],
    [
      'no address',
      'upstreams:\n  a: localhost',
      /shadowcat.yaml:2:6: upstreams.a: "localhost" is not a server address/,
    ],
    ['nothing', 'upstreams:\n  a:\n', /shadowcat.yaml:2:3: upstreams.a: expected/],
    [
      'an unknown key',
      'upstreams:\n  a: { url: http://a.example, wait: 3 }',
      /shadowcat.yaml:2:31: upstreams.a: unknown key "wait"/,
    ],
    ['a misspelt key', `${UPSTREAMS}groups:\n  g: { member: a }`, /unknown key "member" \(did you mean members\?\)/],
    [
      'a weight that is none',
      'upstreams:\n  a: { url: http://a.example, weight: -1 }',
      /upstreams.a.weight: "-1" is not a number in range/,
    ],
    [
      'neither url nor command',
      'upstreams:\n  a: { weight: 1 }',
      /upstreams.a: give it a url or a command, one of the two/,
    ],
    [
      'keys of a command',
      'upstreams:\n  a: { url: http://a.example, cwd: . }',
      /upstreams.a: cwd is for a command: leave it out/,
    ],
    [
      'keys of a url',
      'upstreams:\n  a: { command: node, headers: { a: b } }',
      /upstreams.a: headers is for a url: leave it out/,
    ],
    [
      'a command that is not there',
      'upstreams:\n  a: { command: no-such-thing }',
      /yaml:2:3: upstreams.a: there is no command "no-such-thing" on PATH/,
    ],
    [
      'a variable that is not there',
      'upstreams:\n  a: { command: node, env: NOT_SET_HERE }',
      /upstreams.a: NOT_SET_HERE is not set here/,
    ],
    ['upstream as well', `${UPSTREAMS}upstream: http://c.example`, /upstreams and upstream exclude each other/],
    [
      'a member that is not there',
      `${UPSTREAMS}groups:\n  g: { members: [a, b, bb] }`,
      /yaml:5:24: groups.g.members: there is no upstream bb \(did you mean b\?\)|there is no upstream bb/,
    ],
    ['a member twice', `${UPSTREAMS}groups:\n  g: { members: [a, b, a] }`, /groups.g: a is there twice/],
    [
      'a group that combines, without a bridge',
      `${UPSTREAMS}bridge: off\ngroups:\n  g: { members: [a, b], combine: always }`,
      /groups.g.combine: servers are combined by translating between revisions: leave bridge at auto/,
    ],
    [
      'a group in a group that does not combine',
      `${UPSTREAMS}groups:\n  g: { members: [a, b] }\n  h: { members: [g] }`,
      /groups.h.members: g is a group, and this one combines nothing: name upstreams, or write combine/,
    ],
    ['a group without members', `${UPSTREAMS}groups:\n  g: { balance: random }`, /groups.g: "members" is missing/],
    [
      'a group named as an upstream',
      `${UPSTREAMS}groups:\n  a: { members: [a, b] }`,
      /groups.a: an upstream has this name already/,
    ],
    [
      'an upstream without a use',
      `${UPSTREAMS}groups:\n  g: { members: a }`,
      /groups: b is in no group, and no route leads to it/,
    ],
    [
      'hash-on without hash',
      `${UPSTREAMS}groups:\n  g: { members: [a, b], hash-on: session }`,
      /groups.g.hash-on: nothing is hashed here: write balance: hash as well/,
    ],
    [
      'an unknown policy',
      `${UPSTREAMS}balance: fair`,
      /balance: "fair" is not one of the choices: write round-robin, weighted, /,
    ],
    ['an unknown hash', `${UPSTREAMS}hash-on: ip`, /hash-on: "ip" is not something to hash/],
    ['a route without an end', `${UPSTREAMS}routes:\n  - match: { path: /a }`, /yaml:5:5: routes: "to" is missing/],
    [
      'a route to nowhere',
      `${UPSTREAMS}routes:\n  - match: { path: /a }\n    to: c`,
      /yaml:6:9: routes.to: there is no group and no upstream c/,
    ],
    [
      'a route on a taken path',
      `${UPSTREAMS}routes:\n  - match: { path: /metrics }\n    to: a`,
      /routes.match.path: \/metrics is where health and metrics are/,
    ],
    [
      'a credential in plain text',
      `${UPSTREAMS}routes:\n  - match: { credential: s3cr3t }\n    to: a`,
      /credential: this does not stand for a credential: write env:NAME/,
    ],
    ['no groups', `${UPSTREAMS}groups: {}`, /yaml:4:9: groups: expected a mapping .*, found an empty mapping/],
    ['no members', `${UPSTREAMS}groups:\n  g: { members: [] }`, /groups.g.members: expected .*, found an empty list/],
    ['a group of nothing', `${UPSTREAMS}groups:\n  g:\n`, /groups.g: expected keys of a group, found nothing/],
    [
      'a group in itself',
      `${UPSTREAMS}groups:\n  g: { members: [g, a, b], combine: always }`,
      /groups.g.members: g is a group that combines, and can be no member/,
    ],
    [
      'a tool of another method',
      `${UPSTREAMS}routes:\n  - match: { method: tools/list, tool: x }\n    to: a`,
      /routes: no request has this method and a tool: only tools\/call has one/,
    ],
    ['no end of brackets', `upstreams: ${'['.repeat(20_000)}`, /upstreams: not valid YAML: it is nested too deeply/],
    [
      'an alias',
      'upstreams:\n  a: &x http://a.example\n  b: *x\n',
      /upstreams.b: expected .*, found an alias, which is not followed/,
    ],
  ])('%s', async (_what, file, message) => {
    const err = await check(file);
    expect(err).toMatch(message);
    expect(err).not.toContain('s3cr3t');
  });

  it('is told all at once', async () => {
    const err = await check(`${UPSTREAMS}groups:\n  g: { members: [x, y] }\nroutes:\n  - { match: {}, to: z }\n`);
    expect(err.match(/there is no/g)).toHaveLength(3);
  });
});

it.each(SECTION_SPECS.map(({ name, example }) => [name, example]))('the example of %s can be read', (name, example) => {
  const { sections, problems } = readConfig('f', example);
  expect({ problems, keys: [...sections.keys()] }).toEqual({ problems: [], keys: [name] });
});
