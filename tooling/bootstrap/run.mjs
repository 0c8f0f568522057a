#!/usr/bin/env node
// `npm start`, `npm test` and the others, on a machine that has an old Node (18 or newer) and npm: brings a newer Node
// and pnpm, installs, builds, and runs the verb. Needs nothing but Node itself. Decision: docs/decisions/001-bootstrap-from-npm.md
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ChildFailed, runThrough } from './lib/child.mjs';
import { prepare } from './lib/prepare.mjs';
import { Problem } from './lib/problem.mjs';
import { say } from './lib/progress.mjs';
import { VERBS, workingFolder } from './lib/verbs.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const EXIT = { failed: 1, usage: 2 };

/**
 * @param {string[]} argv
 * @returns {Promise<number>} the exit code
 */
async function main([name = '', ...words]) {
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (verb === undefined) {
    say(`no such verb: ${name || '(none)'}. Verbs: ${Object.keys(VERBS).join(', ')}`);
    return EXIT.usage;
  }
  const house = await prepare({ root, build: verb.build });
  const args = verb.args(root, words);
  if (args === undefined) {
    if (!house.worked) say('nothing to do: everything is built');
    return 0;
  }
  const hint = verb.hint?.(words);
  if (hint !== undefined) say(hint);
  const cwd = workingFolder({ verb: name, root, words, env: process.env });
  return runThrough({ command: house.node, args, env: house.env, cwd });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Problem || error instanceof ChildFailed)) throw error;
  say(error.message);
  // Whoever counts gets a count, also when it did not come to a test.
  if (process.argv[2] === 'test') process.stdout.write('0 passed, 1 failed\n');
  process.exitCode = EXIT.failed;
}
