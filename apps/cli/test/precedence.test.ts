import { describe, expect, it } from 'vitest';
import { type OptionSpec, variableOf } from '../src/options/option.js';
import { SPECS } from '../src/options/table.js';
import type { ReverseConfig } from '../src/stack/contract.js';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

/** Three values of each option that differ from its default and from each other. */
const SAMPLES: Readonly<Record<string, readonly [string, string, string]>> = {
  'host:port': ['127.0.0.1:1001', '127.0.0.1:1002', '127.0.0.1:1003'],
  'host[:port]': ['a.example', 'b.example', 'c.example'],
  'loopback|any|off': ['any', 'off', 'loopback'],
  'session|shared|request': ['shared', 'request', 'session'],
  'recover|fail': ['fail', 'recover', 'fail'],
  'round-robin|weighted|least-connections|power-of-two|random|hash': ['weighted', 'random', 'hash'],
  'credential|session|header:NAME': ['session', 'header:x-a', 'header:x-b'],
  'auto|off': ['off', 'auto', 'off'],
  'wait|drop': ['drop', 'wait', 'drop'],
  'debug|info|warn|error|silent': ['warn', 'error', 'silent'],
  'auto|pretty|json': ['pretty', 'json', 'auto'],
  'name=value': ['x-a=1', 'x-b=1', 'x-c=1'],
  'NAME[=value]': ['A=1', 'B=1', 'C=1'],
  boolean: ['true', 'true', 'true'],
  'exact|bound|normalised|rule': ['exact', 'bound', 'normalised'],
  'format=file': ['junit=a', 'sarif=b', 'json=c'],
  'instant|recorded|xN': ['recorded', 'x2', 'x0.5'],
  duration: ['1m', '2m', '3m'],
  n: ['111', '112', '113'],
  percent: ['11%', '12%', '13%'],
  'suspect|all|off': ['all', 'off', 'suspect'],
  'bytes|json|shape|contract': ['shape', 'bytes', 'contract'],
  'off|collisions|always': ['collisions', 'off', 'always'],
  origin: ['https://a.example', 'https://b.example', 'https://c.example'],
  path: ['/a', '/b', '/c'],
  pointer: ['/a', '/b', '/c'],
  size: ['65KiB', '66KiB', '67KiB'],
  url: ['http://a.example/', 'http://b.example/', 'http://c.example/'],
};

function samplesOf(spec: OptionSpec): readonly [string, string, string] {
  if (spec.name === 'store') return ['memory', 'sqlite:b.db', 'sqlite:c.db'];
  return SAMPLES[spec.type.label] ?? ['word-a', 'word-b', 'word-c'];
}

interface Shown {
  readonly value: unknown;
  readonly origin: string;
}

async function show(name: string, given: { flag?: string; env?: string; file?: string }): Promise<Shown> {
  const spec = SPECS.find((candidate) => candidate.name === name);
  if (spec === undefined) throw new Error(`no option ${name}`);
  const flags =
    given.flag === undefined
      ? []
      : spec.place === 'words'
        ? ['--', given.flag]
        : spec.type.label === 'boolean'
          ? [`--${name}`]
          : [`--${name}`, given.flag];
  const { code, out, err } = await shadowcat(['config', 'show', '--format', 'json', ...flags], {
    env: given.env === undefined ? {} : { [variableOf(name)]: given.env },
    cwd: emptyDirectory(given.file === undefined ? {} : { 'shadowcat.yaml': `${name}: ${given.file}\n` }),
  });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return (JSON.parse(out) as Record<string, Shown>)[name] as Shown;
}

function shownAs(spec: OptionSpec, text: string): unknown {
  const value = spec.type.parse(text);
  const shown =
    spec.type.conceal?.(value) ??
    (spec.type.label === 'n' || spec.type.label === 'boolean' ? value : spec.type.show(value));
  return spec.kind === 'many' ? [shown] : shown;
}

describe.each(SPECS.map((spec) => [spec.name, spec] as const))('%s', (name, spec) => {
  const [a, b, c] = samplesOf(spec);

  it('is its default when nobody gives it', async () => {
    const expected = spec.kind === 'many' ? [] : spec.fallback === undefined ? null : shownAs(spec, spec.fallback);
    expect(await show(name, {})).toEqual({
      value: Array.isArray(expected) ? expected.flat() : expected,
      origin: 'default',
    });
  });

  it('is a key of the file', async () => {
    const { value, origin } = await show(name, { file: a });
    expect({ value, origin }).toEqual({ value: shownAs(spec, a), origin: `file shadowcat.yaml:1:${name.length + 3}` });
  });

  it('is a variable, which wins over the file', async () => {
    expect(await show(name, { file: a, env: b })).toEqual({
      value: shownAs(spec, b),
      origin: `environment ${variableOf(name)}`,
    });
  });

  if (spec.place === 'arguments') return;

  it('is on the command line, which wins over both', async () => {
    const origin = spec.place === 'words' ? 'flag a command after --' : `flag --${name}`;
    expect(await show(name, { file: a, env: b, flag: c })).toEqual({ value: shownAs(spec, c), origin });
  });
});

describe('sources', () => {
  const listen = async (
    argv: readonly string[],
    env: Record<string, string>,
    files: Record<string, string>,
  ): Promise<unknown> => {
    const { started, err } = await shadowcat(['reverse', '--upstream', 'http://a/mcp', ...argv], {
      env,
      cwd: emptyDirectory(files),
    });
    expect(err).toBe('');
    return started[0]?.config;
  };

  it('take the file that --config names, then that of SHADOWCAT_CONFIG, then shadowcat.yaml', async () => {
    const files = { 'a.yaml': 'path: /a', 'b.yaml': 'path: /b', 'shadowcat.yaml': 'path: /c' };
    expect(await listen(['--config', 'a.yaml'], { SHADOWCAT_CONFIG: 'b.yaml' }, files)).toMatchObject({ path: '/a' });
    expect(await listen([], { SHADOWCAT_CONFIG: 'b.yaml' }, files)).toMatchObject({ path: '/b' });
    expect(await listen([], {}, files)).toMatchObject({ path: '/c' });
  });

  it('count a variable that is set to nothing as not set', async () => {
    expect(
      await listen([], { SHADOWCAT_PATH: '', SHADOWCAT_CONFIG: '' }, { 'shadowcat.yaml': 'path: /c' }),
    ).toMatchObject({ path: '/c' });
  });

  it('can switch off on the command line what the file switches on', async () => {
    const files = { 'shadowcat.yaml': 'durable: true\nrecord: tapes\nno-auth: true\nlisten: 0.0.0.0:1\n' };
    expect(await listen(['--no-durable'], {}, files)).toMatchObject({ recording: { durable: false } });
    const refused = await shadowcat(['reverse', '--upstream', 'http://a/mcp', '--auth'], {
      cwd: emptyDirectory(files),
    });
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('can be reached from other machines') });
  });

  it.each([
    ['between commas', 'http://a/mcp, http://b/mcp', ['http://a/mcp', 'http://b/mcp']],
    ['as a JSON array', '["http://a/mcp?x=1,2","http://b/mcp"]', ['http://a/mcp', 'http://b/mcp']],
  ])('read a list in a variable %s', async (_how, value, names) => {
    const { started } = await shadowcat(['reverse'], { env: { SHADOWCAT_UPSTREAM: value } });
    const config = started[0]?.config as ReverseConfig;
    expect(config.targets.map((target) => target.name)).toEqual(names);
  });

  it('read a command in a variable as words, or as a JSON array', async () => {
    for (const value of ['node a.js b', '["node","a.js","b"]']) {
      const { started } = await shadowcat(['reverse'], { env: { SHADOWCAT_COMMAND: value } });
      expect(started[0]?.config).toMatchObject({ targets: [{ command: 'node', args: ['a.js', 'b'] }] });
    }
  });

  it('read headers in a variable a line each, commas included', async () => {
    const { started } = await shadowcat(['reverse', '--upstream', 'http://a/mcp'], {
      env: { SHADOWCAT_HEADER: 'x-a=1,2\nx-b: 3' },
    });
    expect(started[0]?.config).toMatchObject({ upstream: { headers: { 'x-a': '1,2', 'x-b': '3' } } });
  });

  it('warn about a variable that is probably misspelt, and only about such', async () => {
    const { err } = await shadowcat(['config', 'show'], {
      env: { SHADOWCAT_LISTN: 'x', SHADOWCAT_OTHER_THING_ENTIRELY: 'x' },
    });
    expect(err).toBe('shadowcat: SHADOWCAT_LISTN is not an option and is ignored (did you mean SHADOWCAT_LISTEN?)\n');
  });

  it('name the variable whose value is wrong', async () => {
    const { code, err } = await shadowcat(['reverse'], { env: { SHADOWCAT_SESSION_IDLE: '30' } });
    expect(code).toBe(2);
    expect(err).toMatch(/^shadowcat: SHADOWCAT_SESSION_IDLE: "30" is not a duration: /);
  });
});
