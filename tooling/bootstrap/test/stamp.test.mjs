import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  buildStamp,
  dropStamp,
  hasOutputs,
  installStamp,
  readStamp,
  workspaceFolders,
  writeStamp,
} from '../lib/stamp.mjs';

const FILES = {
  'package.json': '{}',
  'pnpm-lock.yaml': 'lockfileVersion: 9',
  'tooling/tsconfig/base.json': '{}',
  'packages/kernel/package.json': '{}',
  'packages/kernel/tsconfig.json': '{}',
  'packages/kernel/src/index.ts': 'export const one = 1;',
  'packages/kernel/test/one.test.ts': 'tests',
};

let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'shadowcat-stamp-'));
  for (const [file, text] of Object.entries(FILES)) put(file, text);
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

function stamps() {
  const install = installStamp(root, 'linux-x64');
  return { install, build: buildStamp(root, install) };
}

describe('stamps', () => {
  it.each([
    ['a source', 'packages/kernel/src/index.ts', { install: false, build: true }],
    ['a new source', 'packages/kernel/src/deep/new.ts', { install: false, build: true }],
    ['a compiler option', 'packages/kernel/tsconfig.json', { install: false, build: true }],
    ['a shared compiler option', 'tooling/tsconfig/base.json', { install: false, build: true }],
    ['a manifest', 'packages/kernel/package.json', { install: true, build: true }],
    ['a new package', 'packages/wire/package.json', { install: true, build: true }],
    ['the lockfile', 'pnpm-lock.yaml', { install: true, build: true }],
    ['a test', 'packages/kernel/test/one.test.ts', { install: false, build: false }],
    ['a page', 'docs/page.md', { install: false, build: false }],
  ])('%s changes what depends on it', (_what, file, changed) => {
    const before = stamps();
    put(file, 'something else');
    const after = stamps();
    expect({ install: after.install !== before.install, build: after.build !== before.build }).toEqual(changed);
  });

  it('a file that was touched and not changed changes nothing', () => {
    const before = stamps();
    utimesSync(join(root, 'packages/kernel/src/index.ts'), new Date(0), new Date(0));
    expect(stamps()).toEqual(before);
  });

  it('a checkout that was moved keeps its stamps', () => {
    const before = stamps();
    renameSync(root, `${root}-moved`);
    root = `${root}-moved`;
    expect(stamps()).toEqual(before);
  });

  it('another platform needs another installation', () => {
    expect(installStamp(root, 'darwin-arm64')).not.toBe(installStamp(root, 'linux-x64'));
  });
});

describe('stamp files', () => {
  it('a stamp that was never written, or was dropped, is empty', () => {
    const file = join(root, '.tools', 'built.stamp');
    expect(readStamp(file)).toBe('');
    writeStamp(file, 'abc');
    expect(readStamp(file)).toBe('abc');
    dropStamp(file);
    expect(readStamp(file)).toBe('');
  });
});

describe('hasOutputs', () => {
  it('tells when the output of a package is gone', () => {
    expect(hasOutputs(root)).toBe(false);
    put('packages/kernel/dist/index.js', '');
    expect(hasOutputs(root)).toBe(true);
  });

  it('asks nothing of folders that build nothing', () => {
    put('packages/kernel/dist/index.js', '');
    put('tooling/bench/package.json', '{}');
    expect(workspaceFolders(root)).toHaveLength(2);
    expect(hasOutputs(root)).toBe(true);
  });
});
