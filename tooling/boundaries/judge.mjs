// Judges modules and manifests by the laws. Values in, violations out; nothing is read here.
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { FILE_NAME, IO_PAIRS, LAWS, MAX_CODE_LINES, PURE_THIRD_PARTY, ROOMS, TESTKIT_KNOWS } from './laws.mjs';

/**
 * @typedef {import('./workspace.mjs').Package} Package
 * @typedef {import('./workspace.mjs').Module} Module
 * @typedef {{ law: import('./laws.mjs').Law, where: string, what: string }} Violation
 */

const CLI = 'apps/cli';
const TESTKIT = 'packages/testkit';
const PURE_BASE = '../../tooling/tsconfig/pure.json';
const OWN_COMPILER_OPTIONS = new Set(['rootDir', 'outDir', 'tsBuildInfoFile']);

/**
 * @param {Violation} violation
 * @returns {string} two lines: what is wrong where, and what to do instead
 */
export function explain({ law, where, what }) {
  return `${where}  ${what}\n    ${LAWS[law].law}. ${LAWS[law].instead}`;
}

/**
 * @param {Module} module
 * @param {readonly Package[]} packages
 * @returns {Violation[]}
 */
export function judgeModule(module, packages) {
  const { file, scan } = module;
  const found = scan.imports.flatMap(({ specifier, line }) => {
    const law = judgeImport(module, specifier, packages);
    return law === undefined ? [] : [violation(law, `${file}:${line}`, `imports ${specifier}`)];
  });
  if (isPureSource(module)) {
    for (const { specifier, line } of scan.references) {
      found.push(violation('pure-compiles-alone', `${file}:${line}`, `references ${specifier}`));
    }
    for (const line of scan.wallClock) found.push(violation('pure-wall-clock', `${file}:${line}`, 'asks for the time'));
  }
  if (module.part === 'src' && scan.codeLines > MAX_CODE_LINES) {
    found.push(violation('too-long', file, `has ${scan.codeLines} code lines`));
  }
  if (!FILE_NAME.test(posix.basename(file))) found.push(violation('file-name', file, 'is not kebab-case'));
  return found;
}

/**
 * @param {Module} module
 * @param {string} specifier
 * @param {readonly Package[]} packages
 * @returns {import('./laws.mjs').Law | undefined}
 */
function judgeImport(module, specifier, packages) {
  if (specifier.startsWith('.')) return judgeRelative(module, specifier, packages);
  const target = packages.find(({ manifest: { name } }) => specifier === name || specifier.startsWith(`${name}/`));
  if (target !== undefined) return judgeWorkspaceImport(module, target, specifier);
  if (!isPureSource(module)) return undefined;
  if (isBuiltin(specifier)) return 'pure-imports-node';
  return PURE_THIRD_PARTY[module.owner]?.includes(packageNameOf(specifier)) ? undefined : 'pure-third-party';
}

/**
 * A relative import stays in its package, and a source does not reach for tests.
 * @param {Module} module
 * @param {string} specifier
 * @param {readonly Package[]} packages
 */
function judgeRelative({ file, owner }, specifier, packages) {
  const path = posix.join(posix.dirname(file), specifier);
  if (path.startsWith(`${owner}/`)) return undefined;
  // The house's scripts may use each other; they are not packages.
  const intoPackage = packages.some(({ folder }) => path.startsWith(`${folder}/`));
  return owner.startsWith('tooling') && path.startsWith('tooling/') && !intoPackage ? undefined : 'no-deep-import';
}

/**
 * @param {Module} module
 * @param {Package} target
 * @param {string} specifier
 * @returns {import('./laws.mjs').Law | undefined}
 */
function judgeWorkspaceImport({ owner, part }, target, specifier) {
  if (target.folder === owner) return undefined;
  if (target.folder === CLI && !owner.startsWith('tooling')) return 'no-import-of-cli';
  const door = `.${specifier.slice(target.manifest.name.length)}`;
  if (target.manifest.exports?.[door] === undefined) return 'no-deep-import';
  if (part === 'test' || owner.startsWith('tooling')) return undefined;
  if (target.folder === TESTKIT) return 'testkit-in-tests';
  return judgeRooms(owner, target.folder);
}

/**
 * Who may import whom, between two rooms.
 * @param {string} from
 * @param {string} to
 * @returns {import('./laws.mjs').Law | undefined}
 */
function judgeRooms(from, to) {
  const source = ROOMS[from];
  const target = ROOMS[to];
  // A package without a room is reported once, by its manifest.
  if (source === undefined || target === undefined) return undefined;
  switch (source.colour) {
    case 'PURE':
      if (target.colour !== 'PURE') return 'pure-imports-io';
      return (target.floor ?? 0) < (source.floor ?? 0) ? undefined : 'pure-floors';
    case 'IO':
      return target.colour === 'PURE' || IO_PAIRS[from]?.includes(to) ? undefined : 'io-imports-io';
    case 'DEV':
      return TESTKIT_KNOWS.includes(to) ? undefined : 'testkit-knows-little';
    default:
      return undefined;
  }
}

/**
 * @param {readonly Package[]} packages
 * @returns {Violation[]}
 */
export function judgeManifests(packages) {
  return [...packages.flatMap((found) => judgePackage(found, packages)), ...judgeHomes(packages)];
}

/**
 * @param {Package} found
 * @param {readonly Package[]} packages
 */
function judgePackage({ folder, manifest, tsconfig }, packages) {
  const violations = /** @type {Violation[]} */ ([]);
  if (!folder.startsWith('tooling/') && ROOMS[folder] === undefined) {
    violations.push(violation('unknown-room', folder, `${manifest.name} is in no room`));
  }
  const where = `${folder}/tsconfig.json`;
  if (ROOMS[folder]?.colour === 'PURE') {
    for (const what of ownRules(tsconfig)) violations.push(violation('pure-compiles-alone', where, what));
  }
  if (!folder.startsWith('tooling/') && tsconfig !== undefined) {
    const references = (tsconfig.references ?? []).map(({ path }) => posix.join(folder, path));
    const wanted = packages
      .filter(({ manifest: { name } }) => runtimeDependencies(manifest).includes(name))
      .map((dependency) => dependency.folder);
    for (const missing of wanted.filter((path) => !references.includes(path))) {
      violations.push(violation('same-references', where, `does not reference ${missing}`));
    }
    for (const extra of references.filter((path) => !wanted.includes(path))) {
      violations.push(violation('same-references', where, `references ${extra}, which package.json does not name`));
    }
  }
  if (runtimeDependencies(manifest).includes('@shadowcat/testkit') && !folder.startsWith('tooling/')) {
    violations.push(violation('testkit-in-tests', `${folder}/package.json`, 'depends on @shadowcat/testkit'));
  }
  return violations;
}

/**
 * @param {import('./workspace.mjs').TsConfig | undefined} tsconfig of a PURE package
 * @returns {string[]} what it decides for itself although the base decides it
 */
function ownRules(tsconfig) {
  const options = Object.keys(tsconfig?.compilerOptions ?? {}).filter((name) => !OWN_COMPILER_OPTIONS.has(name));
  const said = options.map((name) => `sets ${name}`);
  return tsconfig?.extends === PURE_BASE ? said : [`does not extend ${PURE_BASE}`, ...said];
}

/**
 * Law 5, over all manifests. Tooling is not shipped and may use what it likes.
 * @param {readonly Package[]} packages
 */
function judgeHomes(packages) {
  const homes = /** @type {Map<string, string[]>} */ (new Map());
  const ours = new Set(packages.map(({ manifest }) => manifest.name));
  for (const { folder, manifest } of packages) {
    if (folder.startsWith('tooling/')) continue;
    for (const name of runtimeDependencies(manifest).filter((dependency) => !ours.has(dependency))) {
      homes.set(name, [...(homes.get(name) ?? []), folder]);
    }
  }
  return [...homes]
    .filter(([, folders]) => folders.length > 1)
    .map(([name, folders]) => violation('one-home', folders.join(', '), `${name} lives in ${folders.length} packages`));
}

/** @param {import('./workspace.mjs').Manifest} manifest */
function runtimeDependencies({ dependencies, optionalDependencies, peerDependencies }) {
  return Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
}

/** @param {Module} module */
function isPureSource({ owner, part }) {
  return part === 'src' && ROOMS[owner]?.colour === 'PURE';
}

/** @param {string} specifier */
function packageNameOf(specifier) {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/**
 * @param {import('./laws.mjs').Law} law
 * @param {string} where
 * @param {string} what
 * @returns {Violation}
 */
function violation(law, where, what) {
  return { law, where, what };
}
