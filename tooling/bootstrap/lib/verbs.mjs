// What each verb runs once the house is ready.
import { createRequire } from 'node:module';
import { join } from 'node:path';

/**
 * @typedef {object} Verb
 * @property {boolean} build whether the packages must be built first
 * @property {(root: string, words: string[]) => string[] | undefined} args for Node; undefined: nothing is left to do
 * @property {(words: string[]) => string | undefined} [hint] said before it starts
 */

const CLI = 'apps/cli/dist/main.js';
const TAPES = 'tapes/';

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'curl', version: '1' } },
});

const TRY_IT = `a proxy in front of server-everything; tapes go to ${TAPES}. When its address is shown, try in another terminal:
  curl -sS http://127.0.0.1:8787/mcp -H 'content-type: application/json' \\
    -H 'accept: application/json, text/event-stream' -d '${INITIALIZE}'
Ctrl-C ends it. Other uses: npm start -- --help`;

/** @type {Record<string, Verb>} */
export const VERBS = {
  start: {
    build: true,
    args: (root, words) => [join(root, CLI), ...(words.length > 0 ? words : defaultStart(root))],
    hint: (words) => (words.length > 0 ? undefined : TRY_IT),
  },
  build: { build: true, args: () => undefined },
  demo: { build: true, args: (root, words) => [join(root, 'tooling/e2e/dist/demo.js'), ...words] },
  bench: { build: true, args: (root, words) => [join(root, 'tooling/bench/src/main.mjs'), ...words] },
  // The checks build by themselves: a build that fails is one of their findings.
  test: { build: false, args: (root, words) => [join(root, 'tooling/check/run.mjs'), ...words] },
  check: { build: false, args: (root, words) => [join(root, 'tooling/check/run.mjs'), ...words] },
  fmt: { build: false, args: (root, words) => [join(root, 'tooling/check/fmt.mjs'), ...words] },
};

/** @param {string} root */
function defaultStart(root) {
  const everything = createRequire(join(root, 'tooling/e2e/package.json')).resolve(
    '@modelcontextprotocol/server-everything/package.json',
  );
  return ['reverse', '--record', TAPES, '--', 'node', join(everything, '..', 'dist', 'index.js'), 'stdio'];
}

/**
 * Where the command runs. `npm start -- replay my.tape.jsonl` means the file where the user stands, although npm runs
 * scripts in the root.
 * @param {{ verb: string, root: string, words: string[], env: NodeJS.ProcessEnv }} call
 */
export function workingFolder({ verb, root, words, env }) {
  const isOurs = env.npm_package_json === join(root, 'package.json');
  return verb === 'start' && words.length > 0 && isOurs && env.INIT_CWD ? env.INIT_CWD : root;
}
