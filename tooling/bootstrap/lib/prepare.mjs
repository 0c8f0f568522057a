// What has to be true before a command can run: tools, dependencies, build. Each is looked at first (some hashing, no
// other program started) and made true only if it is not.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ChildFailed, runQuietly } from './child.mjs';
import { withLock } from './lock.mjs';
import { Problem } from './problem.mjs';
import { step } from './progress.mjs';
import { buildStamp, dropStamp, hasOutputs, installStamp, readStamp, writeStamp } from './stamp.mjs';
import { environmentWith, executableOf, installTool, neededNode, neededPnpm } from './tools.mjs';

const TAIL_LINES = 40;
const TURBO_ARGS = [
  'run',
  'build',
  '--ui=stream',
  '--log-order=grouped',
  '--output-logs=errors-only',
  '--continue=dependencies-successful',
];
/** Lines of turbo and pnpm about themselves; what is left of a failed build is what the compiler said. */
const TURBO_NOISE = /^\s*(•|Tasks:|Cached:|Time:|Failed:|$)|cache (hit|miss)|: \$ |\[ELIFECYCLE\]| (ERROR|WARNING) {2}/;

/**
 * @typedef {object} House
 * @property {string} root of the checkout
 * @property {string} node the executable that everything runs on
 * @property {NodeJS.ProcessEnv} env
 * @property {boolean} worked whether anything had to be done
 */

/**
 * @param {{ root: string, build: boolean }} what
 * @returns {Promise<House>}
 * @throws {Problem}
 */
export async function prepare({ root, build }) {
  if (isReady(root, build)) return house(root, false);
  return withLock(join(root, '.tools', 'lock'), async () => {
    await ensureTools(root);
    const made = house(root, true);
    await ensureDependencies(made);
    if (build) await ensureBuilt(made);
    return made;
  });
}

/**
 * @param {string} root
 * @param {boolean} build
 */
function isReady(root, build) {
  const tools = neededTools(root);
  return tools.every((tool) => existsSync(tool.folder)) && isInstalled(root) && (!build || isBuilt(root));
}

/** @param {string} root */
function neededTools(root) {
  const node = neededNode(root);
  return node === undefined ? [neededPnpm(root)] : [node, neededPnpm(root)];
}

/**
 * @param {string} root
 * @param {boolean} worked
 * @returns {House}
 */
function house(root, worked) {
  const tool = neededNode(root);
  const node = tool === undefined ? process.execPath : executableOf(tool);
  return { root, node, worked, env: environmentWith({ node, pnpm: executableOf(neededPnpm(root)) }) };
}

/** @param {string} root */
async function ensureTools(root) {
  for (const tool of neededTools(root)) {
    if (existsSync(tool.folder)) continue;
    const labels = { doing: `installing ${tool.title} (once)`, done: `installed ${tool.title}` };
    const trouble = { what: `could not install ${tool.title}`, advice: ADVICE.network };
    await explained(trouble, () => step(labels, () => installTool(tool)));
  }
}

/** @param {House} made */
async function ensureDependencies({ root, env }) {
  if (isInstalled(root)) return;
  const { install } = stampFiles(root);
  dropStamp(install);
  const labels = { doing: 'installing dependencies', done: 'installed dependencies' };
  // CI=true: never ask a question; nobody would see it.
  const pnpm = {
    command: executableOf(neededPnpm(root)),
    args: ['install', '--frozen-lockfile', '--reporter=append-only'],
    cwd: root,
    env: { ...env, CI: 'true' },
  };
  const trouble = { what: 'could not install the dependencies', advice: ADVICE.network };
  await explained(trouble, () => step(labels, () => runQuietly(pnpm)));
  writeStamp(install, installStamp(root, runtime()));
}

/** @param {House} made */
async function ensureBuilt({ root, env, node }) {
  if (isBuilt(root)) return;
  const { build } = stampFiles(root);
  // Taken before the build: a file that is saved meanwhile makes the stamp stale, and the next command builds again.
  const stamp = wantedBuildStamp(root);
  dropStamp(build);
  const turbo = { command: node, args: [join(root, 'node_modules/turbo/bin/turbo'), ...TURBO_ARGS], cwd: root, env };
  const labels = { doing: 'building', done: 'built' };
  const trouble = { what: 'the build failed', advice: ADVICE.build, noise: TURBO_NOISE };
  await explained(trouble, () => step(labels, () => runQuietly(turbo)));
  writeStamp(build, stamp);
}

/** @param {string} root */
function isInstalled(root) {
  const wanted = installStamp(root, runtime());
  return existsSync(join(root, 'node_modules', '.modules.yaml')) && readStamp(stampFiles(root).install) === wanted;
}

/** @param {string} root */
function isBuilt(root) {
  return hasOutputs(root) && readStamp(stampFiles(root).build) === wantedBuildStamp(root);
}

/** @param {string} root */
function wantedBuildStamp(root) {
  return buildStamp(root, installStamp(root, runtime()));
}

/** @param {string} root */
function stampFiles(root) {
  return { install: join(root, '.tools', 'installed.stamp'), build: join(root, '.tools', 'built.stamp') };
}

function runtime() {
  return `${process.platform}-${process.arch}`;
}

/**
 * @typedef {object} Trouble what to say when something fails
 * @property {string} what
 * @property {string} advice
 * @property {RegExp} [noise] lines of its output that say nothing
 */

const TRY_AGAIN = 'then run the command again.';
const ADVICE = {
  network: `Check the network and the registry (\`npm config get registry\`), ${TRY_AGAIN}`,
  build: `Correct what the compiler names above, ${TRY_AGAIN}`,
};

/**
 * @template T
 * @param {Trouble} trouble
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 * @throws {Problem}
 */
async function explained({ what, advice, noise }, work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ChildFailed || error instanceof Problem)) throw error;
    const said = error instanceof ChildFailed ? tail(error.output, noise) : error.message;
    throw new Problem(`${what}:\n${said}\n${advice}`, { cause: error });
  }
}

/**
 * @param {string} output
 * @param {RegExp} [noise]
 */
function tail(output, noise) {
  const lines = output
    .trimEnd()
    .split('\n')
    .filter((line) => noise === undefined || !noise.test(line));
  const shown = lines.slice(-TAIL_LINES).map((line) => `  ${line}`);
  if (lines.length > shown.length) shown.unshift(`  … ${lines.length - shown.length} lines before`);
  return shown.join('\n');
}
