import { mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { OWNER_VARIABLE, type OwnedProcess, run, startWithUrl } from './processes.js';

/** The entry of the command line, which must have been built. */
const SHADOWCAT_MAIN = join(
  dirname(createRequire(import.meta.url).resolve('shadowcat/package.json')),
  'dist',
  'main.js',
);

export type Shadowcat = OwnedProcess & { readonly url: string };

/** An empty folder to run in, removed when disposed: state, tapes and keys go there. */
export async function workFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await realpath(await mkdtemp(join(tmpdir(), 'shadowcat-e2e-')));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** How the command is called in `cwd`. */
export function shadowcat(args: readonly string[], cwd: string): { command: string; args: string[]; cwd: string } {
  return { command: process.execPath, args: [SHADOWCAT_MAIN, ...args], cwd };
}

/**
 * Starts a command that prints its URL (`reverse`, `record`, `replay`) on a port of its own. Its children are known as its
 * descendants also when it is gone, unless `args` has `--env`.
 */
export function startShadowcat(args: readonly string[], cwd: string): Promise<Shadowcat> {
  const [command = 'reverse', ...rest] = args;
  const options = shadowcat([command, '--listen', '127.0.0.1:0', ...rest], cwd);
  return startWithUrl({ ...options, env: { SHADOWCAT_ENV: OWNER_VARIABLE } });
}

/** Runs a command that ends by itself. */
export function runShadowcat(args: readonly string[], cwd: string): ReturnType<typeof run> {
  return run(shadowcat(args, cwd));
}

/** The finished tapes of a folder, oldest first. */
export async function tapesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => name.endsWith('.tape.jsonl'))
    .sort()
    .map((name) => join(folder, name));
}
