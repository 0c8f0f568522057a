import { setImmediate } from 'node:timers/promises';

/** Rows a statement carries: well below SQLite's limit of parameters. */
const CHUNK = 100;

/** The items in statements' worth, with a turn of the event loop after each: ten thousand rows take a fifth of a second. */
export async function* chunks<T>(items: readonly T[]): AsyncGenerator<T[], void, undefined> {
  for (let at = 0; at < items.length; at += CHUNK) {
    yield items.slice(at, at + CHUNK);
    if (at + CHUNK < items.length) await setImmediate();
  }
}
