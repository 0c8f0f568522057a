import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ReverseConfig } from '../src/stack/contract.js';
import { shadowTargets } from '../src/stack/shadow-targets.js';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const [A, B] = ['http://a.example/mcp', 'http://b.example/mcp'];
const NAMED = `upstreams: { a: ${A}, b: ${B}, c: http://c.example/mcp }\n`;

/** What `reverse` would run with this file. */
async function reverse(file: string, argv: readonly string[] = []) {
  const cwd = emptyDirectory({ 'shadowcat.yaml': file });
  const { code, err, started } = await shadowcat(['reverse', ...argv], { cwd });
  return { code, err, config: started[0]?.config as ReverseConfig, cwd };
}

const groups = ({ groups: all }: ReverseConfig): unknown => all.map(({ name, members }) => [name, members]);

describe('a mirror', () => {
  it('is two flags, and gets a group of its own', async () => {
    const { config, cwd } = await reverse('', ['--upstream', A, '--mirror-to', B, '--mirror-percent', '12.5']);
    expect(config.targets.map(({ name }) => name)).toEqual([A, B]);
    expect(groups(config)).toEqual([
      ['default', [A]],
      [B, [B]],
    ]);
    expect(config.mirror).toEqual({
      from: 'default',
      to: B,
      share: 0.125,
      methods: expect.arrayContaining(['tools/call', 'tools/list', 'resources/read']),
      effects: false,
      ignore: [],
      timeoutMs: 30_000,
      maxInFlight: 50,
      findings: join(cwd, '.shadowcat', 'shadow.jsonl'),
    });
    expect([...shadowTargets(config)]).toEqual([B]);
  });

  it('is nothing unless it is asked for', async () => {
    const { config } = await reverse(`upstream: ${A}\n`);
    expect([config.mirror, shadowTargets(config).size]).toEqual([undefined, 0]);
  });

  it('may be told more in the file', async () => {
    const file = `upstream: ${A}
mirror-findings: /srv/found.jsonl
mirror-ignore: /at
mirror: { to: ${B}, percent: 10, methods: [tools/call], effects: true, ignore: [/content/*/text], timeout: 5s, max-in-flight: 3 }\n`;
    const { config } = await reverse(file);
    expect(config.mirror).toEqual({
      from: 'default',
      to: B,
      share: 0.1,
      methods: ['tools/call'],
      effects: true,
      ignore: ['/at', '/content/*/text'],
      timeoutMs: 5000,
      maxInFlight: 3,
      findings: '/srv/found.jsonl',
    });
  });

  it('may go to an upstream, which then serves no clients', async () => {
    const { config } = await reverse(`${NAMED}mirror: c\n`);
    expect(groups(config)).toEqual([
      ['default', ['a', 'b']],
      ['c', ['c']],
    ]);
    expect(config.mirror).toMatchObject({ from: 'default', to: 'c', share: 1 });
    expect([...shadowTargets(config)]).toEqual(['c']);
  });

  it('may be of one group, and go to another one that serves clients as well', async () => {
    const file = `${NAMED}groups: { old: { members: [a] }, new: { members: [b, c] } }\nroutes: [{ match: { path: /new }, to: new }]\n`;
    const { config } = await reverse(`${file}mirror: { from: old, to: new }\n`);
    expect(config.mirror).toMatchObject({ from: 'old', to: 'new' });
    expect([...shadowTargets(config)]).toEqual([]);
    const { config: unrouted } = await reverse(`${file.replace(/routes.*\n/, '')}mirror: new\n`);
    expect([...shadowTargets(unrouted)]).toEqual(['b', 'c']);
  });

  it.each([
    [`${NAMED}mirror: d\n`, 'shadowcat.yaml:2:9: mirror: there is no group and no upstream d'],
    [
      `${NAMED}groups: { main: { members: [a, b, c] } }\nmirror: { to: mian }\n`,
      'shadowcat.yaml:3:15: mirror.to: there is no group and no upstream mian (did you mean main?)',
    ],
    [`${NAMED}mirror: { to: c, from: x }\n`, 'shadowcat.yaml:2:24: mirror.from: there is no group and no upstream x'],
    [
      `${NAMED}groups: { main: { members: [a, b, c] } }\nmirror: b\n`,
      'shadowcat.yaml:3:9: mirror: b would be compared with itself: name a server that is not in main',
    ],
    [`${NAMED}groups: { main: { members: [a, b, c] } }\nmirror: main\n`, 'mirror: a would be compared with itself'],
    [`upstream: ${A}\nmirror: { to: ${B}, percent: 101 }\n`, 'mirror.percent: "101" is not a percentage'],
    [`upstream: ${A}\nmirror: { to: ${B}, ignore: content }\n`, 'mirror.ignore: "content" is not a JSON pointer'],
    [
      `upstream: ${A}\nmirror: { to: ${B}, methods: [initialize] }\n`,
      'mirror.methods: "initialize" is not one of the choices',
    ],
    [`upstream: ${A}\nmirror: { percent: 1 }\n`, 'mirror: "to" is missing'],
    [
      `upstream: ${A}\nmirror-to: ${B}\nmirror: ${B}\n`,
      'shadowcat.yaml:3:9: mirror and mirror-to exclude each other: give one of them',
    ],
    [`upstream: ${A}\nmirror-to: ${A}\n`, `${A} is there twice`],
  ])('%j is wrong', async (file, problem) => {
    const { code, err } = await reverse(file);
    expect(err).toContain(problem);
    expect(code).toBe(2);
    const checked = await shadowcat(['config', 'check'], { cwd: emptyDirectory({ 'shadowcat.yaml': file }) });
    expect(checked.err).toContain(problem);
  });

  it('is shown without the secrets of an address', async () => {
    const cwd = emptyDirectory({ 'shadowcat.yaml': `upstream: ${A}\nmirror: { to: ${B}?key=secret, percent: 10 }\n` });
    const { out } = await shadowcat(['config', 'show'], { cwd });
    expect(out).toContain(`${B}?***`);
    expect(out).toContain('10%');
    expect(out).not.toContain('secret');
  });
});
