import { createHmac, randomBytes } from 'node:crypto';
import { link, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ProxyError } from '@shadowcat/kernel';
import { makeDirectory } from './directories.js';

/** The project's key for placeholders of secrets. */
export interface TapeKey {
  /** HMAC-SHA-256 in hex. */
  readonly hmac: (text: string) => string;
  /** The key itself as hex digits, for a worker of our own. Never shown, never logged. */
  readonly hex: string;
  /** A fingerprint that says nothing about the key; tapes carry it, so that a replay can tell a wrong key. */
  readonly id: string;
  /** Where the key is kept; `undefined` when it was given, or made for this run only. */
  readonly path: string | undefined;
  /** Something that the user should know, such as that the key could not be kept. */
  readonly warning: string | undefined;
}

export interface TapeKeyOptions {
  /** The working directory. */
  readonly directory: string;
  /** The key itself as 64 hex digits, for machines that have no file; from configuration or environment. */
  readonly value?: string | undefined;
}

/** The variable that holds the key where there is no file. */
export const TAPE_KEY_VARIABLE = 'SHADOWCAT_TAPE_KEY';

const KEY_FILE = join('.shadowcat', 'tape.key');
const KEY = /^[0-9a-f]{64}$/;

/**
 * The key to record with: `.shadowcat/tape.key` in the working directory, or in the nearest directory above
 * it up to the one with `.git`. Made (mode 0600) in the working directory when there is none. Throws `tape_invalid` when the
 * key is malformed or cannot be read.
 */
export async function loadTapeKey(options: TapeKeyOptions): Promise<TapeKey> {
  if (options.value !== undefined) return keyOf(options.value, 'the given tape key');
  const directory = resolve(options.directory);
  const found = await findKey(directory);
  if (found !== undefined) return readKey(found);
  const path = join(directory, KEY_FILE);
  try {
    await makeKey(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const warning = `no tape key can be kept at ${path} (${why}): what this run hides cannot be matched by a later one`;
    return keyOf(randomBytes(32).toString('hex'), path, { warning });
  }
  return readKey(path);
}

export interface FindTapeKeyOptions {
  /** Where to look, and above: the working directory first, then those of the tapes. */
  readonly directories: readonly string[];
  /** The fingerprints that the tapes carry. */
  readonly ids: ReadonlySet<string>;
  /** The key itself: {@link TapeKeyOptions.value}. */
  readonly value?: string | undefined;
}

/**
 * The key to replay with: the one whose fingerprint the tapes carry, if it is kept in or above one of these directories; else
 * that of the first directory, as {@link loadTapeKey} finds it; else one of no use. Makes nothing. Throws as that does.
 */
export async function findTapeKey({ directories, ids, value }: FindTapeKeyOptions): Promise<TapeKey> {
  if (value !== undefined) return keyOf(value, 'the given tape key');
  for (const path of keysAbove(directories)) {
    // What cannot be read, or is no key, is not the one that is looked for.
    const key = await readKey(path).catch(() => undefined);
    if (key !== undefined && ids.has(key.id)) return key;
  }
  const own = directories[0] === undefined ? undefined : await findKey(resolve(directories[0]));
  if (own !== undefined) return readKey(own);
  return keyOf(randomBytes(32).toString('hex'), 'a key of no use');
}

/** Where keys may be kept in these directories and all above them, each once, nearest first. */
function keysAbove(directories: readonly string[]): Set<string> {
  const paths = new Set<string>();
  for (const directory of directories) {
    let at = resolve(directory);
    for (; at !== dirname(at); at = dirname(at)) paths.add(join(at, KEY_FILE));
    paths.add(join(at, KEY_FILE));
  }
  return paths;
}

async function findKey(directory: string): Promise<string | undefined> {
  const inRepository = await repositoryOf(directory);
  for (let at = directory; ; at = dirname(at)) {
    const path = join(at, KEY_FILE);
    if (await exists(path)) return path;
    if (at === (inRepository ?? directory) || at === dirname(at)) return undefined;
  }
}

async function repositoryOf(directory: string): Promise<string | undefined> {
  for (let at = directory; ; at = dirname(at)) {
    if (await exists(join(at, '.git'))) return at;
    if (at === dirname(at)) return undefined;
  }
}

/** Under its name the key is there whole or not at all, also when two processes make it at once: the first one wins. */
async function makeKey(path: string): Promise<void> {
  const directory = dirname(path);
  await makeDirectory(directory, { mode: 0o700 });
  // What lies here is one machine's: neither the key nor the state belongs into a repository. Before there is a key to be added.
  await writeFile(join(directory, '.gitignore'), '*\n', { flag: 'wx' }).catch(() => undefined);
  const draft = join(directory, `tape.key.${process.pid}.${randomBytes(4).toString('hex')}`);
  await writeFile(draft, `${randomBytes(32).toString('hex')}\n`, { flag: 'wx', mode: 0o600 });
  try {
    await link(draft, path);
  } catch (error) {
    if (!(await exists(path))) throw error;
  } finally {
    await unlink(draft);
  }
}

async function readKey(path: string): Promise<TapeKey> {
  let text: string;
  let mode: number;
  try {
    text = await readFile(path, 'utf8');
    mode = (await stat(path)).mode;
  } catch (error) {
    throw new ProxyError('tape_invalid', `${path}: the tape key cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const open = process.platform !== 'win32' && (mode & 0o077) !== 0;
  const warning = open ? `${path} can be read by others: chmod 600 ${path}` : undefined;
  return keyOf(text, path, { path, warning });
}

function keyOf(text: string, where: string, about: Partial<Pick<TapeKey, 'path' | 'warning'>> = {}): TapeKey {
  const hex = text.trim();
  if (!KEY.test(hex)) {
    throw new ProxyError(
      'tape_invalid',
      `${where}: a tape key is 64 hex digits; restore it, or remove it to get a new one`,
    );
  }
  const hmac = hmacWith(hex);
  return { hmac, hex, id: hmac('shadowcat tape key').slice(0, 8), path: about.path, warning: about.warning };
}

/** HMAC-SHA-256 in hex, with a key of hex digits. */
export function hmacWith(hex: string): (text: string) => string {
  const key = Buffer.from(hex, 'hex');
  return (text) => createHmac('sha256', key).update(text).digest('hex');
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
