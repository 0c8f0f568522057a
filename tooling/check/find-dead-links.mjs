// Links in Markdown that lead nowhere: relative ones to files or headings that do not exist. Addresses of other places are
// left alone; nothing here uses the network.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** @typedef {{ file: string, line: number, target: string }} DeadLink */

/** Inline links and images, and the definitions of reference links. */
const LINK = /\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|^\s*\[[^\]]+\]:\s*(\S+)/g;
const ELSEWHERE = /^([a-z][a-z0-9+.-]*:|\/\/)/i;

/**
 * @param {string} root of the checkout
 * @param {string} file relative to it
 * @returns {DeadLink[]}
 */
export function findDeadLinks(root, file) {
  const source = readFileSync(join(root, file), 'utf8');
  return linksOf(source)
    .filter(({ target }) => !ELSEWHERE.test(target) && !leadsSomewhere(join(root, file), target))
    .map(({ line, target }) => ({ file, line, target }));
}

/**
 * The targets of all links outside of code.
 * @param {string} source Markdown
 * @returns {{ line: number, target: string }[]}
 */
export function linksOf(source) {
  return proseOf(source).flatMap((text, index) =>
    [...text.matchAll(LINK)].map((found) => ({ line: index + 1, target: found[1] ?? found[2] ?? '' })),
  );
}

/**
 * The anchors of a page's headings, as GitHub makes them: lower case, no punctuation, hyphens for spaces, numbered when
 * they come again.
 * @param {string} source Markdown
 * @returns {Set<string>}
 */
export function anchorsOf(source) {
  const anchors = new Set();
  const seen = /** @type {Map<string, number>} */ (new Map());
  for (const text of proseOf(source, true)) {
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(text)?.[1];
    for (const id of text.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id[1]);
    if (heading === undefined) continue;
    const anchor = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-');
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    anchors.add(count === 0 ? anchor : `${anchor}-${count}`);
  }
  return anchors;
}

/**
 * The lines of a page; those of code blocks are empty, and so are code spans unless they are kept.
 * @param {string} source
 * @param {boolean} [keepSpans]
 * @returns {string[]}
 */
function proseOf(source, keepSpans = false) {
  let fence = '';
  return source.split('\n').map((line) => {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1] ?? '';
    if (fence !== '') {
      if (mark.startsWith(fence)) fence = '';
      return '';
    }
    if (mark !== '') {
      fence = mark;
      return '';
    }
    return keepSpans ? line : line.replace(/(`+)(?!`).*?(?<!`)\1(?!`)/g, 'code');
  });
}

/**
 * @param {string} from the file that links, absolute
 * @param {string} target
 */
function leadsSomewhere(from, target) {
  const [path = '', anchor] = target.split('#', 2);
  const to = path === '' ? from : resolve(dirname(from), decodeURIComponent(path));
  if (!existsSync(to)) return false;
  if (anchor === undefined || !to.endsWith('.md') || statSync(to).isDirectory()) return true;
  return anchorsOf(readFileSync(to, 'utf8')).has(anchor);
}
