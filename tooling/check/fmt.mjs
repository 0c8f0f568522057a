#!/usr/bin/env node
// `npm run fmt`: formats, applies safe fixes, and draws the picture of the imports again.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const commands = [
  ['node_modules/@biomejs/biome/bin/biome', 'check', '--write', '.'],
  ['tooling/boundaries/picture.mjs', '--write'],
];
const codes = commands.map((args) => spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1);
process.exitCode = codes.find((code) => code !== 0) ?? 0;
