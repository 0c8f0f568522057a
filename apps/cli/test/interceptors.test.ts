import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { CliError } from '../src/errors.js';
import { loadInterceptors } from '../src/stack/interceptors.js';
import { emptyDirectory } from './support/fake-host.js';

async function failureOf(specifier: string): Promise<string> {
  const error: unknown = await loadInterceptors([specifier]).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CliError);
  return (error as CliError).message;
}

describe('a module of interceptors', () => {
  it('is loaded', async () => {
    const directory = emptyDirectory({
      'good.mjs': 'export default { name: "a", intercept: () => ({ action: "continue" }) };',
    });
    const loaded = await loadInterceptors([pathToFileURL(join(directory, 'good.mjs')).href]);
    expect(loaded.map(({ name }) => name)).toEqual(['a']);
  });

  it('that exports something else is a usage error of one line, with the path as people write it', async () => {
    const path = join(emptyDirectory({ 'five.mjs': 'export default 5;' }), 'five.mjs');
    expect(await failureOf(pathToFileURL(path).href)).toBe(
      `the interceptor module ${path} cannot be used: its default export is no interceptor: it is not an object; see docs/interceptors.md`,
    );
  });

  it('that throws is one, too', async () => {
    const path = join(emptyDirectory({ 'bad.mjs': 'throw new Error("first\\nsecond");' }), 'bad.mjs');
    expect(await failureOf(pathToFileURL(path).href)).toBe(`the interceptor module ${path} cannot be used: first`);
  });

  it('that is not installed is one, too', async () => {
    expect(await failureOf('shadowcat-no-such-package')).toMatch(
      /^the interceptor module shadowcat-no-such-package cannot be used: [^\n]*shadowcat-no-such-package/,
    );
  });
});
