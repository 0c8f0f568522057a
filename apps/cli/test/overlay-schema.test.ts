import { join, sep } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { overlayPaths, unusedOverlays } from '../src/overlay/overlay-paths.js';
import { overlaySchema, overlaySchemaReference } from '../src/overlay/overlay-schema.js';
import { parseOverlay } from '../src/overlay/read-overlay.js';
import { emptyDirectory } from './support/fake-host.js';

describe('the schema of overlays', () => {
  const validate = new Ajv({ allErrors: true, allowUnionTypes: true, strict: true }).compile(overlaySchema());
  const both = (yaml: string): object => ({
    reader: 'overlay' in parseOverlay('o.yaml', yaml),
    schema: validate(parse(yaml)),
  });

  it.each([
    '',
    'seed: 7',
    'ignore:\n',
    'ignore: [{ method: tools/call, target: search, at: [/arguments/a, /arguments/items/*/rank] }]',
    'ignore: { at: /params }',
    'normalise:\n  - { as: uuid }\n  - { as: timestamp, at: /arguments/since }',
    'bind: [{ at: /arguments/id }]',
    'replace: [{ at: /result/content, with: [1, { a: null }] }]',
    'latency: [{ delay: 300ms, jitter: 50ms }]',
    'faults: [{ fault: rate-limit, nth: 1, retry-after: 2s }, { fault: error, probability: 0.1, code: -32603, message: x }]',
    'expect: [{ method: tools/call, times: 2 }, { at-least: 1, at-most: 3 }]',
  ])('and the reader both accept %j', (yaml) => {
    expect(both(yaml)).toEqual({ reader: true, schema: true });
  });

  it.each([
    'ignored: []',
    'seed: many',
    'ignore: [{ method: tools/call }]',
    'ignore: [{ at: arguments }]',
    'normalise: [{ as: colour }]',
    'replace: [{ at: /result }]',
    'latency: [{ delay: soon }]',
    'faults: [{ fault: fire }]',
    'faults: [{ fault: error, probability: 2 }]',
    'expect: [{ times: -1 }]',
  ])('and the reader both refuse %j', (yaml) => {
    expect(both(yaml)).toEqual({ reader: false, schema: false });
  });
});

describe('where an overlay finds its schema', () => {
  const project = join(sep, 'p');
  const schema = join(project, 'node_modules', 'shadowcat', 'schema', 'overlay.schema.json');

  it('is a path of the project, or nothing', () => {
    expect(overlaySchemaReference(project, project, schema)).toBe(
      './node_modules/shadowcat/schema/overlay.schema.json',
    );
    expect(overlaySchemaReference(join(project, 'test'), project, schema)).toBe(
      '../node_modules/shadowcat/schema/overlay.schema.json',
    );
    expect(overlaySchemaReference(project, join(project, 'test'), schema)).toBeUndefined();
  });
});

describe('the overlay of a tape', () => {
  it('has one of two names', () => {
    expect(overlayPaths('/a/x.tape.jsonl')).toEqual(['/a/x.overlay.yaml', '/a/x.tape.jsonl.overlay.yaml']);
  });

  it('is not used by itself: that it is there is told', () => {
    const cwd = emptyDirectory({ 'x.tape.jsonl': '', 'x.overlay.yaml': '', 'y.tape.jsonl.overlay.yaml': '' });
    const tapes = ['x.tape.jsonl', 'y.tape.jsonl', 'z.tape.jsonl'].map((name) => join(cwd, name));
    expect(unusedOverlays({ tapes, overlays: [] }, cwd)).toEqual([
      'x.overlay.yaml is beside the tape, and is only used with --overlay x.overlay.yaml',
      'y.tape.jsonl.overlay.yaml is beside the tape, and is only used with --overlay y.tape.jsonl.overlay.yaml',
    ]);
    expect(unusedOverlays({ tapes, overlays: ['other.yaml'] }, cwd)).toEqual([]);
  });
});
