#!/usr/bin/env node
// No file tells on which machine it was made: no path of a home or a work folder, no address of a package registry.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findTraces } from './find-traces.mjs';

const root = join(import.meta.dirname, '..', '..');
const BINARY = /\.(png|jpg|ico|gz|db)$/;

const listed = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate'], {
  cwd: root,
  encoding: 'utf8',
});
const files = listed.status === 0 ? listed.stdout.split('\0').filter((file) => file !== '' && !BINARY.test(file)) : [];
const traces = files.flatMap((file) => findTraces(file, readOr(join(root, file))));

for (const { file, line, text } of traces) process.stderr.write(`${file}:${line}  ${text}\n`);
if (traces.length > 0) {
  process.stderr.write(
    'These name one machine. Use a relative path, os.tmpdir(), or a made-up path such as /srv/data in an example.\n',
  );
}
process.stdout.write(`${files.length} files, ${traces.length} traces of a machine\n`);
process.exitCode = traces.length === 0 ? 0 : 1;

/** @param {string} file deleted but not yet committed: nothing to read */
function readOr(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
