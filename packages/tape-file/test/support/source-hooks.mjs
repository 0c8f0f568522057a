// Lets child processes and worker threads of the tests run the sources, as vitest does: `@shadowcat/x` is
// packages/x/src/index.ts, and an import of `./y.js` from a source is `./y.ts`. Node strips the types itself.
import { registerHooks } from 'node:module';

const packages = new URL('../../../', import.meta.url).href;

registerHooks({
  resolve(specifier, context, nextResolve) {
    const own = /^@shadowcat\/([a-z-]+)$/.exec(specifier);
    if (own !== null) return { url: `${packages}${own[1]}/src/index.ts`, shortCircuit: true };
    const source = context.parentURL?.startsWith(packages) === true && /\/src\/.+\.ts$/.test(context.parentURL);
    if (source && /^\.\.?\//.test(specifier)) return nextResolve(specifier.replace(/\.js$/, '.ts'), context);
    return nextResolve(specifier, context);
  },
});
