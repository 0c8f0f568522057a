import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where the packages of the programs in the matrix are installed: here, and for the fixture's sake there. */
const FOLDERS = ['../../node_modules/', '../../../fixture/node_modules/'];

/** A file of a package, also where the package's `exports` do not name it. */
export function packagePath(name: string, file: string): string {
  const paths = FOLDERS.map((folder) => fileURLToPath(new URL(`${folder}${name}/${file}`, import.meta.url)));
  const path = paths.find((one) => existsSync(one));
  if (path === undefined) throw new Error(`not installed: ${name}/${file}`);
  return path;
}

export function packageVersion(name: string): string {
  const manifest = JSON.parse(readFileSync(packagePath(name, 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}
