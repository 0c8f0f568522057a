import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../src/config/file.js';
import { configSchema } from '../src/config/schema.js';
import { configTemplate, schemaReference } from '../src/config/template.js';
import { GENERATED } from '../src/docs/generate.js';
import { SPECS } from '../src/options/table.js';

const ROOT = join(import.meta.dirname, '..', '..', '..');

it.each(Object.entries(GENERATED))('%s is fresh: `pnpm --filter shadowcat generate` makes it', (path, make) => {
  expect(readFileSync(join(ROOT, path), 'utf8')).toBe(make());
});

it('says the same about every option everywhere', () => {
  for (const { name, commands } of SPECS) {
    expect(GENERATED['docs/configuration.md']?.()).toContain(`\`${name}\``);
    const isFlag = SPECS.find((spec) => spec.name === name)?.place === 'flag';
    if (isFlag && commands.length > 0) expect(GENERATED['docs/cli.md']?.()).toContain(`--${name}`);
  }
});

describe('the schema', () => {
  const validate = new Ajv({ allErrors: true, allowUnionTypes: true, strict: true }).compile(configSchema());
  const valid = (yaml: string): boolean => validate(parse(yaml));

  it.each([
    '',
    'listen: 8787',
    'listen: 127.0.0.1:8787',
    'upstream: http://a/mcp',
    'upstream: [http://a/mcp, sse+http://b/sse]',
    'command: [npx, -y, server]',
    'header: {x-key: 1}\nenv: [A=1, B]',
    'session-idle: 1.5h\nfirst-byte-timeout: 0\nmax-body: 4MiB\nmax-line: 65536',
    'store: memory\nisolation: shared\ndurable: true\nmax-children: 3',
    'upstream:\n',
  ])('and the reader both accept %j', (yaml) => {
    expect({ reader: readConfig('f', yaml).problems, schema: valid(yaml) }).toEqual({ reader: [], schema: true });
  });

  it.each([
    'lisen: 1',
    'listen: nowhere',
    'listen: 70000',
    'upstream: localhost:3000',
    'upstream: [a]',
    'command: npx -y server',
    'session-idle: 30',
    'session-idle: 0',
    'isolation: none',
    'max-children: 0',
    'max-children: many',
    'durable: sometimes',
    'store: redis://a',
    'header: {x-key: [1]}',
    '- a',
  ])('and the reader both refuse %j', (yaml) => {
    expect(readConfig('f', yaml).problems).not.toEqual([]);
    expect(valid(yaml)).toBe(false);
  });
});

describe('a new configuration file', () => {
  const text = configTemplate('./schema.json');

  it('has every option as a comment that becomes valid when its sign is removed', () => {
    for (const spec of SPECS) {
      const line = text.split('\n').find((candidate) => candidate.startsWith(`# ${spec.name}: `));
      const { entries, problems } = readConfig('f', line?.slice(2) ?? '');
      expect({ name: spec.name, problems, keys: [...entries.keys()] }).toEqual({
        name: spec.name,
        problems: [],
        keys: [spec.name],
      });
    }
  });

  it('shows the defaults', () => {
    expect(text).toContain(
      '\n# How long a session, or a child that nobody uses, lives without traffic.\n# session-idle: 30m\n',
    );
  });

  it('refers to the schema by a relative path where it lies below, else by a URL', () => {
    expect(schemaReference('/srv/app', '/srv/app/node_modules/shadowcat/schema/s.json')).toBe(
      './node_modules/shadowcat/schema/s.json',
    );
    expect(schemaReference('/srv/app', '/opt/shadowcat/schema/s.json')).toBe('file:///opt/shadowcat/schema/s.json');
  });
});
