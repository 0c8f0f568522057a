import { ProxyError } from '@shadowcat/kernel';
import { type Interceptor, interceptorsOf } from '@shadowcat/pipeline';

/**
 * The interceptors that these modules export, in order. Throws with the module's name when one cannot be loaded or exports
 * none.
 */
export async function loadInterceptors(modules: readonly string[]): Promise<Interceptor[]> {
  const loaded: Interceptor[] = [];
  for (const specifier of modules) loaded.push(...(await load(specifier)));
  return loaded;
}

async function load(specifier: string): Promise<readonly Interceptor[]> {
  try {
    return interceptorsOf(((await import(specifier)) as { default?: unknown }).default, specifier);
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ProxyError('internal', `the interceptor module ${specifier} cannot be used: ${reason}`, { cause: error });
  }
}
