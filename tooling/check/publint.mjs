#!/usr/bin/env node
// What npm would publish of each package is what its package.json promises.
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { readPackages } from '../boundaries/workspace.mjs';

const root = join(import.meta.dirname, '..', '..');
const published = readPackages(root).filter(({ manifest }) => manifest.private !== true);

let found = 0;
for (const { folder, manifest } of published) {
  const { messages, pkg } = await publint({ pkgDir: join(root, folder), pack: 'pnpm', level: 'warning' });
  for (const message of messages) {
    process.stderr.write(
      `${folder}/package.json  ${manifest.name}: ${formatMessage(message, pkg, { color: false })}\n`,
    );
  }
  found += messages.length;
}
process.stdout.write(`${published.length} packages, ${found} problems\n`);
process.exitCode = found === 0 ? 0 : 1;
