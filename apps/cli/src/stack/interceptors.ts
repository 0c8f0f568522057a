import { fileURLToPath } from 'node:url';
import { type Interceptor, interceptorsOf } from '@shadowcat/pipeline';
import { CliError } from '../errors.js';

/**
 * The interceptors that these modules export, in order. Throws a usage error with the module's name when one cannot be
 * loaded or exports none.
 */
export async function loadInterceptors(modules: readonly string[]): Promise<Interceptor[]> {
  const loaded: Interceptor[] = [];
  for (const specifier of modules) loaded.push(...(await load(specifier)));
  return loaded;
}

async function load(specifier: string): Promise<readonly Interceptor[]> {
  try {
    return interceptorsOf(((await import(specifier)) as { default?: unknown }).default);
  } catch (error) {
    throw new CliError(`the interceptor module ${shown(specifier)} cannot be used: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** A path as people write it. */
function shown(specifier: string): string {
  return specifier.startsWith('file:') ? fileURLToPath(specifier) : specifier;
}

/** One line. Of a syntax error only the stack tells where it is; who imports a package that is not there is of no interest. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const line = error.message.split('\n')[0]?.replace(/ imported from .*$/, '') ?? '';
  const at = error instanceof SyntaxError ? /^file:.*:\d+$/m.exec(error.stack ?? '')?.[0] : undefined;
  return at === undefined ? line : `${line} (line ${at.slice(at.lastIndexOf(':') + 1)})`;
}
