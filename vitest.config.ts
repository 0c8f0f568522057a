import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * Two projects. `unit` runs the sources: `@shadowcat/x` is packages/x/src/index.ts and `@shadowcat/x/y` is
 * packages/x/src/y.ts, so that no build is needed to test a package. `e2e` runs what was built, as users get it.
 * No retries in either: a test that needs a second try has found something.
 */
export default defineConfig({
  test: {
    projects: [
      {
        resolve: {
          alias: [
            {
              find: /^@shadowcat\/(?!fixture$|fixture\/|e2e$|e2e\/|bench$)([a-z-]+)$/,
              replacement: here('./packages/$1/src/index.ts'),
            },
            {
              find: /^@shadowcat\/(?!fixture$|fixture\/|e2e$|e2e\/|bench$)([a-z-]+)\/([a-z-]+)$/,
              replacement: here('./packages/$1/src/$2.ts'),
            },
          ],
        },
        test: {
          name: 'unit',
          include: [
            'packages/*/test/**/*.test.ts',
            'apps/*/test/**/*.test.ts',
            'tooling/{bootstrap,boundaries,check,fixture,bench}/test/**/*.test.{ts,mjs}',
          ],
          retry: 0,
          // It ends what hangs. What takes two seconds may take ten times as long on a machine that others use too.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: 30_000 } },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['tooling/e2e/test/**/*.test.ts'],
          setupFiles: [here('./tooling/e2e/src/last-words.ts')],
          retry: 0,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // What is waited for comes at once or never; a busy machine's "at once" is longer than the second that is the default.
          expect: { poll: { timeout: 30_000 } },
          pool: 'forks',
          maxWorkers: 2,
          // Of the tests of one file that say that they may run at the same time.
          maxConcurrency: 3,
          // Programs are started over and over; most of that is compiling the same files again.
          env: { NODE_COMPILE_CACHE: here('./.tools/compile-cache') },
        },
      },
    ],
  },
});
