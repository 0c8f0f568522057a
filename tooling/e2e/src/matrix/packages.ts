import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A file of a package that this one depends on, also where the package's `exports` do not name it. */
export function packagePath(name: string, file: string): string {
  return fileURLToPath(new URL(`../../node_modules/${name}/${file}`, import.meta.url));
}

export function packageVersion(name: string): string {
  const manifest = JSON.parse(readFileSync(packagePath(name, 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}
