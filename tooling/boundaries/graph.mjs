// The picture in docs/architecture.md: rooms as boxes, real imports as arrows, as mermaid text.
import { ROOMS } from './laws.mjs';

/** @typedef {Map<string, Set<string>>} Edges from a package folder to those it imports */

export const BEGIN = '<!-- picture: made by `node tooling/boundaries/picture.mjs --write`, do not edit -->';
export const END = '<!-- end of picture -->';

const GROUPS = /** @type {const} */ ([
  ['COMPOSE', 'COMPOSE: introduces them to each other'],
  ['IO', 'I/O: touches the world'],
  ['PURE', 'PURE: decides'],
]);

/**
 * @param {readonly import('./workspace.mjs').Module[]} modules
 * @param {readonly import('./workspace.mjs').Package[]} packages
 * @returns {Edges} imports between sources of packages and apps; tests and tooling are not drawn
 */
export function importEdges(modules, packages) {
  const folderOf = new Map(packages.map(({ folder, manifest }) => [manifest.name, folder]));
  const edges = /** @type {Edges} */ (new Map());
  for (const { owner, part, scan } of modules) {
    if (part !== 'src' || ROOMS[owner] === undefined) continue;
    const targets = edges.get(owner) ?? new Set();
    edges.set(owner, targets);
    for (const { specifier } of scan.imports) {
      const target = folderOf.get(
        specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/'),
      );
      if (target !== undefined && target !== owner && ROOMS[target] !== undefined) targets.add(target);
    }
  }
  return edges;
}

/**
 * Leaves out an arrow that other arrows imply (a uses b, b uses c: a uses c goes without saying), or else everything
 * would point at the kernel.
 * @param {Edges} edges
 * @returns {Edges}
 */
export function withoutImplied(edges) {
  const reduced = [...edges].map(([from, targets]) => {
    const implied = new Set([...targets].flatMap((target) => [...reachable(edges, target)]));
    return /** @type {const} */ ([from, new Set([...targets].filter((target) => !implied.has(target)))]);
  });
  return new Map(reduced);
}

/**
 * @param {Edges} edges
 * @param {string} from
 * @param {Set<string>} [seen]
 * @returns {Set<string>} everything that can be reached, without the start
 */
function reachable(edges, from, seen = new Set()) {
  for (const target of edges.get(from) ?? []) {
    if (seen.has(target)) continue;
    seen.add(target);
    reachable(edges, target, seen);
  }
  return seen;
}

/**
 * @param {Edges} edges already without the implied ones
 * @returns {string} a fenced mermaid block
 */
export function drawMermaid(edges) {
  const drawn = [...edges.keys()].filter((folder) => ROOMS[folder]?.colour !== 'DEV').sort();
  const lines = ['```mermaid', 'flowchart TD'];
  for (const [colour, title] of GROUPS) {
    lines.push(`  subgraph ${colour}["${title}"]`);
    for (const folder of drawn.filter((name) => ROOMS[name]?.colour === colour)) lines.push(`    ${shortName(folder)}`);
    lines.push('  end');
  }
  for (const folder of drawn) {
    for (const target of [...(edges.get(folder) ?? [])].sort()) {
      lines.push(`  ${shortName(folder)} --> ${shortName(target)}`);
    }
  }
  return [...lines, '```'].join('\n');
}

/** @param {string} folder */
function shortName(folder) {
  return folder.split('/').at(-1) ?? folder;
}

/**
 * @param {string} page
 * @param {string} picture
 * @returns {string} the page with the picture between its marks
 * @throws {Error} when the page has no place for it
 */
export function putPicture(page, picture) {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`the page needs these two lines, in order:\n${BEGIN}\n${END}`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${picture}\n\n${page.slice(end)}`;
}
