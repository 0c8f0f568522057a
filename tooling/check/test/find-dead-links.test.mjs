import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anchorsOf, findDeadLinks, linksOf } from '../find-dead-links.mjs';

const root = join(import.meta.dirname, '..', '..', '..');

/** @returns {string[]} the pages of this repository, those not yet committed too */
function pages() {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate', '--', '*.md'];
  const { stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  return stdout.split('\0').filter((file) => file !== '' && existsSync(join(root, file)));
}

describe('the documents', () => {
  it('link to files and headings that exist', () => {
    const found = pages();
    expect(found).toContain('README.md');
    expect(found.flatMap((file) => findDeadLinks(root, file))).toEqual([]);
  });
});

describe('findDeadLinks', () => {
  let folder = '';

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'links-'));
    mkdirSync(join(folder, 'docs'));
    writeFileSync(join(folder, 'docs', 'there.md'), '# A title\n\n## Part two\n');
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    ['a file', 'docs/there.md', true],
    ['a folder', 'docs', true],
    ['a heading', 'docs/there.md#part-two', true],
    ['an address', 'https://example.com/nowhere', true],
    ['a missing file', 'docs/gone.md', false],
    ['a missing heading', 'docs/there.md#part-three', false],
    ['a missing heading of its own', '#nothing', false],
  ])('%s: %s', (_what, target, alive) => {
    writeFileSync(join(folder, 'page.md'), `# Page\n\nsee [this](${target})\n`);
    expect(findDeadLinks(folder, 'page.md')).toEqual(alive ? [] : [{ file: 'page.md', line: 3, target }]);
  });
});

describe('linksOf', () => {
  it('sees links, images and definitions, and no code', () => {
    const source = 'a [b](c.md) ![d](e.png)\n`[no](no.md)`\n```\n[no](no.md)\n```\n[f]: g.md\n[`h`](i.md)';
    expect(linksOf(source).map(({ target }) => target)).toEqual(['c.md', 'e.png', 'g.md', 'i.md']);
  });
});

describe('anchorsOf', () => {
  it('writes them as GitHub does', () => {
    const source = '# `shadowcat tape ls`\n## --max-body\n## What, and why?\n## What, and why?\n```\n# no\n```';
    expect([...anchorsOf(source)]).toEqual(['shadowcat-tape-ls', '--max-body', 'what-and-why', 'what-and-why-1']);
  });
});
