import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock, Connection, ProxyError } from '@shadowcat/kernel';

/** Real time: these tests run real processes. */
export const realClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  timer: (ms, fire) => {
    const timer = setTimeout(fire, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** A folder for scripts, removed at the end of the `using` block. */
export function scripts(): Disposable & { write(name: string, source: string): string; readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'shadowcat-'));
  return {
    path,
    write: (name, source) => {
      const file = join(path, name);
      writeFileSync(file, source);
      return file;
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Listens to a line, keeps what comes, and lets a test wait for it. */
export class Listener {
  readonly messages: string[] = [];
  reason: ProxyError | undefined;
  #closed = false;
  #waiting: { readonly until: () => boolean; readonly done: () => void }[] = [];

  constructor(line: Connection) {
    line.listen({
      message: (text) => {
        this.messages.push(text);
        this.#look();
      },
      closed: (reason) => {
        this.reason = reason;
        this.#closed = true;
        this.#look();
      },
    });
  }

  /** The first `count` messages, when they are there. */
  async received(count: number): Promise<string[]> {
    await this.#when(() => this.messages.length >= count);
    return this.messages.slice(0, count);
  }

  async closed(): Promise<ProxyError | undefined> {
    await this.#when(() => this.#closed);
    return this.reason;
  }

  #when(until: () => boolean): Promise<void> {
    if (until()) return Promise.resolve();
    return new Promise((done) => this.#waiting.push({ until, done }));
  }

  #look(): void {
    for (const waiter of this.#waiting.filter(({ until }) => until())) {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      waiter.done();
    }
  }
}

/** The processes whose command line names `path`, zombies left out. */
export async function processesNaming(path: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(path)) found.push(Number(name));
  }
  return found;
}

/** Resolves when no process names `path` any more; the test's own timeout bounds it. */
export async function allGone(path: string): Promise<void> {
  while ((await processesNaming(path)).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
}
