// The tools that the house brings along: a Node that is new enough, and pnpm. Both come from npm, into `.tools/`, each in
// a folder named after its version. A folder is made under another name and renamed when it is complete, so one that
// exists can be trusted.
import { existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { runQuietly } from './child.mjs';
import { Problem } from './problem.mjs';
import { isNewEnough, MIN_NODE, nodePackageFor, PNPM_VERSION } from './versions.mjs';

const WINDOWS = process.platform === 'win32';

/**
 * @typedef {object} Tool
 * @property {string} title for people
 * @property {string} folder where it is, or will be
 * @property {string} spec what npm installs: `name@version`
 * @property {(folder: string) => string | undefined} find the executable in a complete folder
 */

/**
 * @param {string} root
 * @returns {Tool | undefined} undefined when the Node that runs this will do
 * @throws {Problem} when it will not do and npm has none for this platform
 */
export function neededNode(root) {
  if (isNewEnough(process.version)) return undefined;
  const found = nodePackageFor(process.platform, process.arch);
  if (found === undefined) {
    throw new Problem(
      `this is Node ${process.version}; Shadowcat needs ${MIN_NODE} or newer, and there is none to fetch for ` +
        `${process.platform}-${process.arch}. Install it from https://nodejs.org and run the command again.`,
    );
  }
  return {
    title: `Node ${found.version}`,
    folder: join(root, '.tools', `node-${found.version}`),
    spec: `${found.name}@${found.version}`,
    find: (folder) => existing(join(folder, 'node_modules', found.name, 'bin', WINDOWS ? 'node.exe' : 'node')),
  };
}

/**
 * @param {string} root
 * @returns {Tool}
 */
export function neededPnpm(root) {
  return {
    title: `pnpm ${PNPM_VERSION}`,
    folder: join(root, '.tools', `pnpm-${PNPM_VERSION}`),
    spec: `pnpm@${PNPM_VERSION}`,
    find: findPnpm,
  };
}

/**
 * pnpm is a native program in a package of its own for each platform. It is used from there, so that no install script
 * has to run (newer versions of npm run none unless they are told to).
 * @param {string} folder
 */
function findPnpm(folder) {
  const scope = join(folder, 'node_modules', '@pnpm');
  if (!existsSync(scope)) return undefined;
  const carrier = readdirSync(scope).find((name) => name.startsWith('exe.'));
  return carrier === undefined ? undefined : existing(join(scope, carrier, WINDOWS ? 'pnpm.exe' : 'pnpm'));
}

/**
 * @param {Tool} tool
 * @returns {string} the executable
 * @throws {Problem} when the folder does not hold it
 */
export function executableOf(tool) {
  const path = tool.find(tool.folder);
  if (path === undefined)
    throw new Problem(`${tool.folder} holds no ${tool.title}. Delete it and run the command again.`);
  return path;
}

/**
 * Installs a tool; what an earlier attempt left behind does not count and is removed.
 * @param {Tool} tool
 */
export async function installTool(tool) {
  const draft = `${tool.folder}.draft`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  writeFileSync(join(draft, 'package.json'), '{ "private": true }\n');
  await runQuietly({ ...npm(), args: [...npm().args, ...installArgs(draft, tool.spec)], cwd: draft });
  if (tool.find(draft) === undefined) throw new Problem(`npm installed ${tool.spec}, but no program came with it`);
  rmSync(tool.folder, { recursive: true, force: true });
  renameSync(draft, tool.folder);
}

/**
 * @param {string} prefix
 * @param {string} spec
 */
function installArgs(prefix, spec) {
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  return ['install', '--prefix', prefix, '--no-save', '--no-package-lock', '--ignore-scripts', ...quiet, spec];
}

/** The npm that started us, or else the one on the PATH. */
function npm() {
  const script = process.env.npm_execpath;
  if (script !== undefined && basename(script) === 'npm-cli.js') return { command: process.execPath, args: [script] };
  return { command: 'npm', args: [], shell: WINDOWS };
}

/**
 * The environment in which everything runs: the right Node and pnpm come first, and nothing phones home.
 * @param {{ node: string, pnpm: string }} tools paths of the executables
 * @returns {NodeJS.ProcessEnv}
 */
export function environmentWith({ node, pnpm }) {
  const path = process.env.PATH ?? '';
  const folders = [dirname(pnpm)];
  if (!isFirstOn(path, node)) folders.unshift(dirname(node));
  return {
    ...process.env,
    PATH: [...folders, path].join(delimiter),
    TURBO_TELEMETRY_DISABLED: '1',
    TURBO_NO_UPDATE_NOTIFIER: '1',
    DO_NOT_TRACK: '1',
  };
}

/**
 * @param {string} path as in the PATH variable
 * @param {string} node
 */
function isFirstOn(path, node) {
  const name = WINDOWS ? 'node.exe' : 'node';
  const first = path
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
  return first !== undefined && realpathSync(first) === realpathSync(node);
}

/** @param {string} file */
function existing(file) {
  return existsSync(file) ? file : undefined;
}
