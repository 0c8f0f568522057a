import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';

/**
 * What git sees of the checkout: new, removed and changed files, and a digest of the changes.
 * @param {string} root
 * @returns {string | undefined} undefined where there is no git, or no checkout
 */
export function treeState(root) {
  const status = git(root, ['status', '--porcelain', '--untracked-files=all']);
  const changes = git(root, ['diff', 'HEAD']);
  if (status === undefined || changes === undefined) return undefined;
  return `${status}changes: ${createHash('sha256').update(changes).digest('hex').slice(0, 12)}`;
}

/**
 * @param {string} root
 * @param {string[]} args
 */
function git(root, args) {
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  return status === 0 ? stdout : undefined;
}
