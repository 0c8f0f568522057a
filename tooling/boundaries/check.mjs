#!/usr/bin/env node
// node tooling/boundaries/check.mjs [root]: checks the laws of docs/architecture.md. Exits 1 when one is broken.
import { join } from 'node:path';
import { explain, judgeManifests, judgeModule } from './judge.mjs';
import { readModules, readPackages } from './workspace.mjs';

const root = process.argv[2] ?? join(import.meta.dirname, '..', '..');
const packages = readPackages(root);
const modules = readModules(root, packages);
const violations = [...judgeManifests(packages), ...modules.flatMap((module) => judgeModule(module, packages))];

for (const violation of violations) process.stderr.write(`${explain(violation)}\n`);
process.stdout.write(
  violations.length === 0
    ? `${modules.length} modules in ${packages.length} packages keep the laws\n`
    : `${violations.length} violations of the laws in docs/architecture.md\n`,
);
process.exitCode = violations.length === 0 ? 0 : 1;
