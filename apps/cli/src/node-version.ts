/** The oldest Node that Shadowcat runs on, as in package.json's `engines`. */
export const NEEDED_NODE = '22.19';

/**
 * What to tell somebody whose Node is too old; `undefined` when it is new enough. This module and `main` are all that an
 * old Node reads, so they import nothing else.
 */
export function nodeProblem(found: string, path: string): string | undefined {
  const [major = 0, minor = 0] = found.split('.').map(Number);
  const [needMajor = 0, needMinor = 0] = NEEDED_NODE.split('.').map(Number);
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return undefined;
  return (
    `shadowcat needs Node ${NEEDED_NODE} or newer; this is Node ${found} (${path}).\n` +
    'Install a newer Node (https://nodejs.org), or in a checkout use `npm start -- ...`, which brings its own.\n'
  );
}
