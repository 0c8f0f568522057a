// Stamps: what was installed and built last, as a hash of everything it was made from. A stamp is written only after the
// work is done, so work that was interrupted has no stamp and is done again. Contents count, not times: a checkout that
// touches every file builds nothing.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

const GROUPS = ['packages', 'apps', 'tooling'];
const ROOT_INSTALL_FILES = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml'];
const ROOT_BUILD_FILES = ['turbo.json', 'tsconfig.json'];

/**
 * @param {string} root of the checkout
 * @returns {string[]} folders of workspace members, sorted
 */
export function workspaceFolders(root) {
  return GROUPS.flatMap((group) => entries(join(root, group)).map((entry) => join(root, group, entry.name))).filter(
    (folder) => existsSync(join(folder, 'package.json')),
  );
}

/**
 * @param {string} root
 * @param {string} runtime what the dependencies are installed for, such as `linux-x64`
 */
export function installStamp(root, runtime) {
  const files = [
    ...ROOT_INSTALL_FILES.map((name) => join(root, name)),
    ...workspaceFolders(root).map((folder) => join(folder, 'package.json')),
  ];
  return hashFiles(root, files, runtime);
}

/**
 * @param {string} root
 * @param {string} seed the install stamp: what was built with other dependencies is built again
 */
export function buildStamp(root, seed) {
  const files = [
    ...ROOT_BUILD_FILES.map((name) => join(root, name)),
    ...filesUnder(join(root, 'tooling', 'tsconfig')),
    ...workspaceFolders(root).flatMap((folder) => [
      join(folder, 'package.json'),
      join(folder, 'tsconfig.json'),
      ...filesUnder(join(folder, 'src')),
    ]),
  ];
  return hashFiles(root, files, seed);
}

/**
 * Whether every package that has something to build has an output folder; a stamp alone would not notice a `rm -r dist`.
 * @param {string} root
 */
export function hasOutputs(root) {
  return workspaceFolders(root)
    .filter((folder) => existsSync(join(folder, 'tsconfig.json')) && existsSync(join(folder, 'src')))
    .every((folder) => existsSync(join(folder, 'dist')));
}

/**
 * A hash over names and contents; a file that does not exist counts as absent.
 * @param {string} root names are taken relative to it, so that a moved checkout keeps its stamps
 * @param {string[]} files
 * @param {string} seed
 */
function hashFiles(root, files, seed) {
  const hash = createHash('sha256').update(seed);
  for (const file of [...files].sort()) {
    hash.update(`\0${relative(root, file).split(sep).join('/')}\0`);
    if (existsSync(file)) hash.update(readFileSync(file));
  }
  return hash.digest('hex');
}

/** @param {string} file */
export function readStamp(file) {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
}

/**
 * @param {string} file
 * @param {string} stamp
 */
export function writeStamp(file, stamp) {
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${stamp}\n`);
  renameSync(draft, file);
}

/** @param {string} file */
export function dropStamp(file) {
  rmSync(file, { force: true });
}

/**
 * @param {string} folder
 * @returns {string[]} all files below, at any depth
 */
function filesUnder(folder) {
  return entries(folder).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

/** @param {string} folder */
function entries(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
}
