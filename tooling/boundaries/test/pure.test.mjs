import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const BIOME = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

const FORBIDDEN = /** @type {const} */ ([
  ['Date.now()', 'take `now` as an argument, or a Clock'],
  ['setTimeout(() => {}, 1)', 'call clock.timer(ms, fire)'],
  ['setInterval(() => {}, 1)', 'set its timer again each time'],
  ['setImmediate(() => {})', 'return a value and let an I/O package decide'],
  ['process.pid', 'take what you need as an option'],
  ['Buffer.alloc(1)', 'use Uint8Array'],
  ["fetch('x')", 'take a Handler (or a narrow port)'],
  ["console.log('x')", 'take a Log from @shadowcat/kernel'],
]);

describe('law 4: the linter', () => {
  let folder = '';

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'shadowcat-lint-'));
    const { $schema: _schema, vcs: _vcs, ...rules } = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8'));
    writeFileSync(join(folder, 'biome.json'), JSON.stringify(rules));
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /**
   * @param {string} owner
   * @returns {string} what the linter says of a source in this package that does all that is forbidden
   */
  function lintSampleIn(owner) {
    const source = FORBIDDEN.map(([expression], index) => `export const made${index} = () => ${expression};\n`).join(
      '',
    );
    mkdirSync(join(folder, owner, 'src'), { recursive: true });
    writeFileSync(join(folder, owner, 'src', 'sample.ts'), source);
    const args = [BIOME, 'lint', '--colors=off', '--max-diagnostics=100', owner];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    return stdout + stderr;
  }

  it('names what a PURE package must not use, and what to do instead', () => {
    const said = lintSampleIn('packages/pool');
    for (const [, instead] of FORBIDDEN) expect(said).toContain(instead);
  });

  it('lets an I/O package touch the world', () => {
    const said = lintSampleIn('packages/store');
    for (const [, instead] of FORBIDDEN) expect(said).not.toContain(instead);
  });
});

describe('law 4: the compiler of a PURE package', () => {
  it.each([
    ["import { readFileSync } from 'node:fs';\nexport const read = readFileSync;", "'node:fs'"],
    ['export const pid = process.pid;', "'process'"],
    ['export const title = document.title;', "'document'"],
    ['export const later = setTimeout(() => {}, 1);', "'setTimeout'"],
  ])('does not know %s', (source, name) => {
    const folder = mkdtempSync(join(tmpdir(), 'shadowcat-pure-'));
    try {
      writeFileSync(join(folder, 'sample.ts'), source);
      const tsconfig = { extends: join(ROOT, 'tooling/tsconfig/pure.json'), include: ['sample.ts'] };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
      const { status, stdout } = spawnSync(process.execPath, [TSC, '-p', folder, '--outDir', join(folder, 'dist')], {
        encoding: 'utf8',
      });
      expect(status).not.toBe(0);
      expect(stdout).toContain(name);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
