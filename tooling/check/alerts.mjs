#!/usr/bin/env node
// Prometheus' own check of docs/alerts.yaml, and its tests of when each alert fires. Where promtool is not installed (Debian and
// Ubuntu: apt-get install prometheus) only the unit tests' reading of the file is left; it says so.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const own = join(root, '.tools', 'promtool');
const promtool = existsSync(own) ? own : 'promtool';

if (spawnSync(promtool, ['--version']).error !== undefined) {
  process.stdout.write('promtool is not installed: when alerts fire was not tested\n');
} else {
  for (const words of [
    ['check', 'rules', 'docs/alerts.yaml'],
    ['test', 'rules', 'tooling/check/test/alerts.promtool.yaml'],
  ]) {
    const { status } = spawnSync(promtool, words, { cwd: root, stdio: 'inherit' });
    if (status !== 0) process.exitCode = 1;
  }
}
