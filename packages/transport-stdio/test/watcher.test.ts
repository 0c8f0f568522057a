import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { silentLog } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { openChild, openWatcher } from '../src/index.js';
import { allGone, Listener, processesNaming, realClock, scripts } from './support.js';

const SOURCE = new URL('../src/', import.meta.url).href;
const PACKAGES = new URL('../../', import.meta.url).href;

/** Lets Node run the sources: it strips types itself, but neither looks for `x.ts` when asked for `x.js` nor knows our packages. */
const LOADER = `
  import { registerHooks } from 'node:module';
  registerHooks({
    resolve(name, context, next) {
      const own = /^@shadowcat\\/([a-z-]+)$/.exec(name);
      if (own !== null) return next(${JSON.stringify(PACKAGES)} + own[1] + '/src/index.ts', context);
      if (name.startsWith('.') && context.parentURL?.endsWith('.ts')) return next(name.replace(/\\.js$/, '.ts'), context);
      return next(name, context);
    },
  });
`;

const PARENT = `
  const { openChild, openWatcher } = await import(${JSON.stringify(SOURCE)} + 'index.ts');
  const silentLog = { debug() {}, info() {}, warn() {}, error() {} };
  const clock = { now: () => performance.now(), wall: () => Date.now(), timer: (ms, fire) => {
    const timer = setTimeout(fire, ms);
    return { cancel: () => clearTimeout(timer) };
  } };
  const watcher = openWatcher({ log: silentLog });
  const line = await openChild({ command: process.execPath, args: [process.argv[2]] }, { clock, log: silentLog, watcher });
  line.listen({ message: (text) => console.log(text), closed() {} });
  setInterval(() => {}, 1000);
`;

const FAMILY = `
  import { spawn } from 'node:child_process';
  const [, self, role] = process.argv;
  process.on('SIGTERM', () => {});
  process.stdout.on('error', () => {});
  setInterval(() => {}, 1000);
  if (role === undefined) {
    spawn(process.execPath, [self, 'grandchild'], { stdio: 'inherit' });
    spawn(process.execPath, [self, 'runaway'], { stdio: ['ignore', 'inherit', 'ignore'], detached: true });
  } else {
    process.stdout.write(JSON.stringify({ up: role }) + '\\n');
  }
`;

describe.runIf(existsSync('/proc/self/environ'))('when the parent is killed', () => {
  it.each([
    ['it alone', (pid: number) => process.kill(pid, 'SIGKILL')],
    ['with its process group', (pid: number) => process.kill(-pid, 'SIGKILL')],
  ])('no descendant lives, whatever it ignores (%s)', async (_what, kill) => {
    using dir = scripts();
    const family = dir.write('family.mjs', FAMILY);
    const args = [
      '--no-warnings',
      '--import',
      dir.write('loader.mjs', LOADER),
      dir.write('parent.mjs', PARENT),
      family,
    ];
    const parent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
    const lines = createInterface({ input: parent.stdout });
    const up: string[] = [];
    for await (const line of lines) {
      up.push(line);
      if (up.length === 2) break;
    }
    expect(up.sort()).toEqual(['{"up":"grandchild"}', '{"up":"runaway"}']);
    expect(await processesNaming(family)).toHaveLength(4);
    const exited = once(parent, 'exit');
    kill(parent.pid ?? 0);
    await exited;
    await allGone(family);
  });
});

/** Resolves when the command line of a process no longer names us; the test's own timeout bounds it. */
async function titled(pid: number): Promise<void> {
  while ((await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes('lineage')) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a watcher', () => {
  it('starts with the first child, is told of the end of each, and ends with its owner', async () => {
    using dir = scripts();
    const script = dir.write('echo.mjs', `process.stdin.resume(); process.stdout.write('{"up":1}\\n');`);
    const watcher = openWatcher({ log: silentLog });
    expect(watcher.pid).toBeUndefined();
    const line = await openChild(
      { command: process.execPath, args: [script] },
      { clock: realClock, log: silentLog, watcher },
    );
    await new Listener(line).received(1);
    const { pid } = watcher;
    expect(pid).toBeGreaterThan(0);
    if (existsSync('/proc/self/cmdline')) await titled(pid ?? 0);
    await line[Symbol.asyncDispose]();
    await watcher[Symbol.asyncDispose]();
    expect(() => process.kill(pid ?? 0, 0)).toThrow('ESRCH');
  });

  it('is started again when it was killed, and still knows its children', async () => {
    using dir = scripts();
    const script = dir.write('deaf.mjs', `setInterval(() => {}, 1000); process.stdout.write('{"up":1}\\n');`);
    const again = Promise.withResolvers<void>();
    const watcher = openWatcher({ log: { ...silentLog, warn: () => setImmediate(again.resolve) } });
    const line = await openChild(
      { command: process.execPath, args: [script] },
      { clock: realClock, log: silentLog, watcher },
    );
    const heard = new Listener(line);
    await heard.received(1);
    process.kill(watcher.pid ?? 0, 'SIGKILL');
    await again.promise;
    await watcher[Symbol.asyncDispose]();
    expect(await heard.closed()).toMatchObject({ code: 'child_exited' });
  });
});
