import { describe, expect, it } from 'vitest';
import { findTraces } from '../find-traces.mjs';

/** Put together here, so that this file holds no trace itself. */
const slash = '/';

describe('findTraces', () => {
  it.each([
    `cwd: "${slash}root/project"`,
    `see ${slash}home/someone/notes`,
    `(${slash}work/main)`,
    `open ${slash}tmp/out.json`,
    `file://${slash}Users/someone/x`,
    `tarball: ${'https'}://example.com/a.tgz`,
    `${'https'}://registry.npm${'js'}.org/`,
  ])('finds %s', (text) => {
    expect(findTraces('a.md', `first line\n${text}`)).toMatchObject([{ file: 'a.md', line: 2 }]);
  });

  it.each([
    'https://example.com/home/page',
    'docs/work/notes.md',
    './tmp/x',
    'join(tmpdir(), "x")',
    '/srv/data',
    '/home/me/x',
  ])('lets %s pass', (text) => {
    expect(findTraces('a.md', text)).toEqual([]);
  });
});
