#!/usr/bin/env node
// node tooling/boundaries/picture.mjs --write | --check: draws the real imports into docs/architecture.md, or fails when
// the page shows something else.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { drawMermaid, importEdges, putPicture, withoutImplied } from './graph.mjs';
import { readModules, readPackages } from './workspace.mjs';

const root = join(import.meta.dirname, '..', '..');
const page = join(root, 'docs', 'architecture.md');

const packages = readPackages(root);
const edges = importEdges(readModules(root, packages), packages);
const before = readFileSync(page, 'utf8');
const after = putPicture(before, drawMermaid(withoutImplied(edges)));

if (process.argv[2] === '--write') {
  if (after !== before) writeFileSync(page, after);
} else if (after !== before) {
  process.stderr.write(
    'docs/architecture.md does not show the real imports. Run `npm run fmt`, and look at what changed in its picture.\n',
  );
  process.exitCode = 1;
}
