import { describe, expect, it } from 'vitest';
import { explain, judgeManifests, judgeModule } from '../judge.mjs';
import { LAWS } from '../laws.mjs';
import { scan } from '../scan.mjs';
import { ownerOf, partOf } from '../workspace.mjs';

/**
 * @param {string} folder
 * @param {Partial<import('../workspace.mjs').Manifest>} [manifest]
 * @param {import('../workspace.mjs').TsConfig} [tsconfig]
 */
function pkg(folder, manifest = {}, tsconfig) {
  const name = folder === 'apps/cli' ? 'shadowcat' : `@shadowcat/${folder.split('/')[1]}`;
  return { folder, manifest: { name, exports: { '.': {} }, ...manifest }, tsconfig };
}

const WORKSPACE = [
  'packages/kernel',
  'packages/wire',
  'packages/pool',
  'packages/session',
  'packages/metrics',
  'packages/store',
  'packages/transport-http',
  'packages/transport-sse',
  'packages/tape-file',
  'packages/offload',
  'packages/testkit',
  'apps/cli',
  'tooling/e2e',
].map((folder) => pkg(folder));

/**
 * @param {string} file
 * @param {string} source
 */
function judge(file, source) {
  const module = { file, owner: ownerOf(file, WORKSPACE), part: partOf(file), scan: scan(file, source) };
  return judgeModule(module, WORKSPACE);
}

describe('what breaks a law, and what to do instead', () => {
  it.each([
    ['no-import-of-cli', 'packages/store/src/a.ts', "import { main } from 'shadowcat';"],
    ['no-import-of-cli', 'packages/store/test/a.test.ts', "import { main } from 'shadowcat';"],
    ['pure-imports-io', 'packages/wire/src/a.ts', "import type { Store } from '@shadowcat/store';"],
    ['io-imports-io', 'packages/transport-sse/src/a.ts', "import { x } from '@shadowcat/transport-http';"],
    ['io-imports-io', 'packages/store/src/a.ts', "export { x } from '@shadowcat/tape-file';"],
    ['pure-floors', 'packages/kernel/src/a.ts', "import { x } from '@shadowcat/wire';"],
    ['pure-floors', 'packages/pool/src/a.ts', "export * from '@shadowcat/session';"],
    ['pure-floors', 'packages/pool/src/a.ts', "type X = import('@shadowcat/session').X;"],
    ['pure-imports-node', 'packages/pool/src/a.ts', "import { readFileSync } from 'node:fs';"],
    ['pure-imports-node', 'packages/pool/src/a.ts', "const fs = await import('fs');"],
    ['pure-third-party', 'packages/pool/src/a.ts', "import { request } from 'undici';"],
    ['pure-third-party', 'packages/pool/src/a.ts', "import type { Registry } from 'prom-client';"],
    ['pure-wall-clock', 'packages/pool/src/a.ts', 'export const at = Date.now();'],
    ['pure-wall-clock', 'packages/pool/src/a.ts', 'export const at = new Date();'],
    ['pure-compiles-alone', 'packages/pool/src/a.ts', '/// <reference types="node" />\nexport {};'],
    ['no-deep-import', 'packages/store/src/a.ts', "import { x } from '@shadowcat/wire/dist/sse.js';"],
    ['no-deep-import', 'packages/store/src/a.ts', "import { x } from '../../wire/src/sse.js';"],
    ['no-deep-import', 'packages/store/test/a.test.ts', "import { x } from '../../wire/src/sse.js';"],
    ['no-deep-import', 'tooling/e2e/test/a.test.ts', "import { x } from '../../../packages/wire/src/sse.js';"],
    ['testkit-in-tests', 'packages/store/src/a.ts', "import { ManualClock } from '@shadowcat/testkit';"],
    ['testkit-knows-little', 'packages/testkit/src/a.ts', "import { x } from '@shadowcat/pool';"],
    ['too-long', 'packages/store/src/a.ts', 'export {};\n'.repeat(401)],
    ['file-name', 'packages/store/src/SessionStore.ts', 'export {};'],
  ])('%s: %s', (law, file, source) => {
    const violations = judge(file, source);
    expect(violations.map((violation) => violation.law)).toEqual([law]);
    const message = violations.map(explain).join('\n');
    expect(message).toContain(file);
    expect(message).toContain(LAWS[/** @type {import('../laws.mjs').Law} */ (law)].instead);
  });
});

describe('what the laws allow', () => {
  it.each([
    ['a lower floor', 'packages/pool/src/a.ts', "import { x } from '@shadowcat/wire';"],
    ['I/O uses PURE', 'packages/store/src/a.ts', "import { x } from '@shadowcat/session';"],
    ['transport-http uses transport-sse', 'packages/transport-http/src/a.ts', "import '@shadowcat/transport-sse';"],
    ['tape-file uses offload', 'packages/tape-file/src/a.ts', "import '@shadowcat/offload';"],
    ['the CLI uses anything', 'apps/cli/src/a.ts', "import '@shadowcat/store'; import 'node:fs';"],
    ['a test uses testkit', 'packages/pool/test/a.test.ts', "import { ManualClock } from '@shadowcat/testkit';"],
    ['a test of a PURE package uses Node', 'packages/pool/test/a.test.ts', "import 'node:fs'; Date.now();"],
    ['end-to-end tests use the CLI', 'tooling/e2e/test/a.test.ts', "import { x } from 'shadowcat';"],
    ['scripts use each other', 'tooling/check/a.mjs', "import '../bootstrap/lib/x.mjs';"],
    ['the exporter has its library', 'packages/metrics/src/a.ts', "import { Registry } from 'prom-client';"],
    ['a date made from a number', 'packages/pool/src/a.ts', 'export const at = new Date(0).toISOString();'],
    [
      'an import in a comment or a string',
      'packages/pool/src/a.ts',
      `// import 'node:fs'\nexport const s = "import 'fs'";`,
    ],
    [
      '400 code lines and many comments',
      'packages/store/src/a.ts',
      'export {};\n'.repeat(400) + '// why\n\n'.repeat(99),
    ],
  ])('%s', (_what, file, source) => {
    expect(judge(file, source)).toEqual([]);
  });
});

describe('manifests', () => {
  const base = { extends: '../../tooling/tsconfig/pure.json', compilerOptions: { outDir: 'dist' }, references: [] };

  it.each([
    ['unknown-room', [pkg('packages/attic')]],
    [
      'one-home',
      [
        pkg('packages/store', { dependencies: { undici: '8' } }),
        pkg('packages/transport-http', { dependencies: { undici: '8' } }),
      ],
    ],
    ['pure-compiles-alone', [pkg('packages/pool', {}, { ...base, compilerOptions: { types: ['node'] } })]],
    ['pure-compiles-alone', [pkg('packages/pool', {}, { ...base, extends: '../../tooling/tsconfig/io.json' })]],
    ['pure-compiles-alone', [pkg('packages/pool', {}, { ...base, compilerOptions: { lib: ['DOM'] } })]],
    [
      'same-references',
      [
        pkg('packages/kernel', {}, base),
        pkg('packages/pool', { dependencies: { '@shadowcat/kernel': 'workspace:*' } }, base),
      ],
    ],
    ['same-references', [pkg('packages/pool', {}, { ...base, references: [{ path: '../kernel' }] })]],
    ['testkit-in-tests', [pkg('packages/store', { dependencies: { '@shadowcat/testkit': 'workspace:*' } })]],
  ])('%s is found', (law, packages) => {
    const violations = judgeManifests(packages);
    expect(violations.map((violation) => violation.law)).toEqual([law]);
    expect(violations.map(explain).join('\n')).toContain(LAWS[/** @type {import('../laws.mjs').Law} */ (law)].instead);
  });

  it('a dependency may live in one package, and in tooling besides', () => {
    const packages = [
      pkg('packages/transport-http', { dependencies: { undici: '8' } }),
      pkg('tooling/bench', { dependencies: { undici: '8' } }),
    ];
    expect(judgeManifests(packages)).toEqual([]);
  });
});
