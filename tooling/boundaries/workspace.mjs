// The packages of the workspace and the modules in them, read from disk.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { scan } from './scan.mjs';

/**
 * @typedef {object} Manifest the parts of package.json that the laws speak of
 * @property {string} name
 * @property {boolean} [private]
 * @property {Record<string, unknown>} [exports]
 * @property {Record<string, string>} [dependencies]
 * @property {Record<string, string>} [optionalDependencies]
 * @property {Record<string, string>} [peerDependencies]
 * @property {Record<string, string>} [devDependencies]
 *
 * @typedef {object} TsConfig
 * @property {string} [extends]
 * @property {Record<string, unknown>} [compilerOptions]
 * @property {Array<{ path: string }>} [references]
 *
 * @typedef {object} Package
 * @property {string} folder relative to the root, with forward slashes: `packages/wire`
 * @property {Manifest} manifest
 * @property {TsConfig | undefined} tsconfig
 *
 * @typedef {object} Module
 * @property {string} file relative to the root, with forward slashes
 * @property {string} owner folder of the package it belongs to; `tooling` for scripts that belong to none
 * @property {'src' | 'test'} part
 * @property {import('./scan.mjs').Scan} scan
 */

const GROUPS = ['packages', 'apps', 'tooling'];
const IS_MODULE = /\.(ts|mts|mjs)$/;
const NOT_OURS = new Set(['node_modules', 'dist', '.turbo', 'coverage']);

/**
 * @param {string} root
 * @returns {Package[]}
 */
export function readPackages(root) {
  return GROUPS.flatMap((group) =>
    folders(join(root, group))
      .filter((name) => existsSync(join(root, group, name, 'package.json')))
      .map((name) => readPackage(root, `${group}/${name}`)),
  );
}

/**
 * @param {string} root
 * @param {string} folder
 * @returns {Package}
 */
function readPackage(root, folder) {
  const tsconfig = join(root, folder, 'tsconfig.json');
  return {
    folder,
    manifest: readJson(join(root, folder, 'package.json')),
    tsconfig: existsSync(tsconfig) ? readJson(tsconfig) : undefined,
  };
}

/**
 * @param {string} root
 * @param {readonly Package[]} packages
 * @returns {Module[]}
 */
export function readModules(root, packages) {
  return GROUPS.flatMap((group) => modulesUnder(root, group)).map((file) => ({
    file,
    owner: ownerOf(file, packages),
    part: partOf(file),
    scan: scan(file, readFileSync(join(root, file), 'utf8')),
  }));
}

/**
 * @param {string} file
 * @param {readonly Package[]} packages
 */
export function ownerOf(file, packages) {
  return packages.find(({ folder }) => file.startsWith(`${folder}/`))?.folder ?? file.split('/')[0] ?? file;
}

/**
 * @param {string} file
 * @returns {'src' | 'test'} configuration and scripts count as source
 */
export function partOf(file) {
  return /(^|\/)test\//.test(file) ? 'test' : 'src';
}

/**
 * @param {string} root
 * @param {string} folder
 * @returns {string[]}
 */
function modulesUnder(root, folder) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : modulesUnder(root, path);
    return IS_MODULE.test(entry.name) ? [path] : [];
  });
}

/** @param {string} folder */
function folders(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** @param {string} file */
function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}
