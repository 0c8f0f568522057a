import { fileURLToPath } from 'node:url';
import { CliError } from '../errors.js';

/**
 * A file of a test as a path: `URL`s, as `new URL('x', import.meta.url)` makes them, too. Throws a `CliError` for what is no
 * file.
 */
export function pathOf(file: string | URL): string {
  if (typeof file === 'string' && !file.startsWith('file:')) return file;
  const given: unknown = file;
  if (typeof given !== 'string' && !(typeof given === 'object' && given !== null && 'href' in given)) {
    throw new CliError(`useTape: ${String(given)} is no name of a file: write it as in useTape('notes.tape.jsonl')`);
  }
  const url = new URL(String(file));
  if (url.protocol !== 'file:') {
    throw new CliError(
      `useTape: ${url.href} is no file, so write the path instead: relative ones begin at the test file\n` +
        '(in the jsdom and happy-dom environments of Vitest, import.meta.url is an address of http:)',
    );
  }
  return fileURLToPath(url);
}
