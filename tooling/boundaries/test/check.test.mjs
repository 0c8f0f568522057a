import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const CHECK = join(import.meta.dirname, '..', 'check.mjs');

let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'shadowcat-laws-'));
  const tsconfig = { extends: '../../tooling/tsconfig/pure.json', references: [] };
  for (const name of ['kernel', 'pool']) {
    put(`packages/${name}/package.json`, JSON.stringify({ name: `@shadowcat/${name}`, exports: { '.': {} } }));
    put(`packages/${name}/tsconfig.json`, JSON.stringify(tsconfig));
  }
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/**
 * @param {string} file
 * @param {string} text
 */
function put(file, text) {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), text);
}

describe('check.mjs', () => {
  it('ends with 1 and names the line, the law and the way out', () => {
    put('packages/kernel/src/index.ts', "export const a = 1;\nimport '@shadowcat/pool';\n");
    const { status, stderr } = spawnSync(process.execPath, [CHECK, root], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain('packages/kernel/src/index.ts:2  imports @shadowcat/pool');
    expect(stderr).toContain('law 3');
    expect(stderr).toContain('Declare the narrow interface');
  });

  it('ends with 0 when the laws are kept', () => {
    put('packages/pool/src/index.ts', "import '@shadowcat/kernel';\n");
    const { status, stdout } = spawnSync(process.execPath, [CHECK, root], { encoding: 'utf8' });
    expect(status).toBe(0);
    expect(stdout).toContain('keep the laws');
  });
});
