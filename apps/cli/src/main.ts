#!/usr/bin/env node
import { nodeProblem } from './node-version.js';

const problem = nodeProblem(process.versions.node, process.execPath);
if (problem === undefined) {
  const { main } = await import('./cli.js');
  await main(process.argv.slice(2));
} else {
  process.stderr.write(problem);
  process.exitCode = 2;
}
