import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { type Log, ProxyError, silentLog } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { openChildList } from '../src/child-list.js';
import { clearLists, openChild, type Watcher } from '../src/index.js';
import { type Lineage, markedByPs, stillOurs } from '../src/lineage.js';
import { allGone, Listener, processesNaming, realClock, scripts } from './support.js';

const LEADER: Lineage = { group: 4711, mark: 'a'.repeat(36), since: 12 };

/** What a killed proxy leaves: children that nobody watches, and the list that names them. */
async function leftBehind(dir: ReturnType<typeof scripts>, source: string) {
  const named: Lineage[] = [];
  const watcher = { add: (lineage: Lineage) => void named.push(lineage), remove: () => {} } as unknown as Watcher;
  const script = dir.write('server.mjs', source);
  const components = { clock: realClock, log: silentLog, watcher };
  const line = await openChild({ command: process.execPath, args: [script] }, components);
  await new Listener(line).received(1);
  return { line, script, lineage: named[0] ?? LEADER };
}

const DEAF = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); process.stdout.write('{"up":1}\\n');`;

/** A list whose owner is no more, as its start says; or with another field of its first line changed. */
function abandoned(folder: string, lineages: readonly Lineage[], field = 1, value = '1'): string {
  const list = openChildList(folder, { log: silentLog });
  for (const lineage of lineages) list.add(lineage);
  const [name = ''] = readdirSync(folder).filter((one) => one.endsWith('.children'));
  const path = join(folder, name);
  const [header = '', ...rest] = readFileSync(path, 'utf8').split('\n');
  const owner = header.split(' ');
  owner[field] = value;
  writeFileSync(path, [owner.join(' '), ...rest].join('\n'));
  return path;
}

describe('the list of children', () => {
  it('names who lives, is written anew when it has grown, and is gone when all are', () => {
    using dir = scripts();
    const folder = join(dir.path, 'run');
    const list = openChildList(folder, { log: silentLog });
    expect(existsSync(folder)).toBe(false);
    for (let group = 2; group < 1500; group += 1) {
      list.add({ ...LEADER, group });
      if (group > 3) list.remove({ ...LEADER, group });
    }
    const [name = ''] = readdirSync(folder);
    const lines = readFileSync(join(folder, name), 'utf8').split('\n');
    expect(lines.length).toBeLessThan(1200);
    expect(lines.slice(1, 3)).toEqual([`+ 2 ${LEADER.mark} 12`, `+ 3 ${LEADER.mark} 12`]);
    for (const group of [2, 3]) list.remove({ ...LEADER, group });
    list.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is not kept where others could write, and that is said once', () => {
    using dir = scripts();
    const warned: string[] = [];
    const log: Log = { ...silentLog, warn: (_details, message) => warned.push(message) };
    const open = join(dir.path, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    const linked = join(dir.path, 'linked');
    symlinkSync(dir.path, linked);
    for (const folder of [open, linked]) {
      const list = openChildList(folder, { log });
      list.add(LEADER);
      list.add(LEADER);
      list.close();
    }
    expect(warned).toHaveLength(2);
    expect(readdirSync(open)).toEqual([]);
  });
});

describe.runIf(existsSync('/proc/self/environ'))('the next start', () => {
  it('ends what an abandoned list still names, with all that it started, and removes the list', async () => {
    using dir = scripts();
    const { script, lineage } = await leftBehind(
      dir,
      `import { spawn } from 'node:child_process';
       const role = process.argv[2];
       process.on('SIGTERM', () => {});
       setInterval(() => {}, 1000);
       if (role === undefined) spawn(process.execPath, [process.argv[1], 'runaway'], { stdio: ['ignore', 'inherit', 'ignore'], detached: true });
       else process.stdout.write('{"up":1}\\n');`,
    );
    const folder = join(dir.path, 'run');
    const path = abandoned(folder, [lineage]);
    expect(await processesNaming(script)).toHaveLength(2);
    expect(await clearLists(folder, { log: silentLog })).toBe(1);
    await allGone(script);
    expect(existsSync(path)).toBe(false);
  });

  it.each([
    ['whose owner lives', 1, String(ownStart()), true],
    ['of another container', 3, 'pid:[1]', true],
    ['of an earlier boot', 2, 'b', false],
  ])('leaves processes alone that stand on a list %s', async (_which, field, value, kept) => {
    using dir = scripts();
    const { line, script, lineage } = await leftBehind(dir, DEAF);
    const folder = join(dir.path, 'run');
    const path = abandoned(folder, [lineage], field, value);
    expect(await clearLists(folder, { log: silentLog })).toBe(0);
    expect(existsSync(path)).toBe(kept);
    expect(await processesNaming(script)).toHaveLength(1);
    line.destroy(new ProxyError('draining', 'over'));
    await line[Symbol.asyncDispose]();
  });

  it('leaves processes alone that have only the number of a recorded group', async () => {
    using dir = scripts();
    const { line, script, lineage } = await leftBehind(dir, DEAF);
    const folder = join(dir.path, 'run');
    const path = abandoned(folder, [{ ...lineage, mark: LEADER.mark, since: 1 }]);
    expect(await clearLists(folder, { log: silentLog })).toBe(0);
    expect([existsSync(path), (await processesNaming(script)).length]).toEqual([false, 1]);
    line.destroy(new ProxyError('draining', 'over'));
    await line[Symbol.asyncDispose]();
  });

  it('does nothing in a folder that is not there, and with lists that make no sense', async () => {
    using dir = scripts();
    expect(await clearLists(join(dir.path, 'nowhere'), { log: silentLog })).toBe(0);
    writeFileSync(join(dir.path, '1-1.children'), 'what is this\n+ 1 x\n+ -1 y\nzz');
    expect(await clearLists(dir.path, { log: silentLog })).toBe(0);
  });

  it('says nothing of a list that is gone when it is read: its owner has ended', async () => {
    using dir = scripts();
    symlinkSync(join(dir.path, 'removed'), join(dir.path, 'x.children'));
    const warned: string[] = [];
    const log: Log = { ...silentLog, warn: (_details, message) => warned.push(message) };
    expect(await clearLists(dir.path, { log })).toBe(0);
    expect(warned).toEqual([]);
  });

  it('finds marks with ps just as with /proc', async () => {
    using dir = scripts();
    const { line, lineage } = await leftBehind(dir, DEAF);
    const groups = await markedByPs([lineage, LEADER]);
    expect([...groups]).toEqual([[lineage.mark, new Set([lineage.group])]]);
    expect(await stillOurs([lineage, LEADER])).toEqual([lineage]);
    line.destroy(new ProxyError('draining', 'over'));
    await line[Symbol.asyncDispose]();
  });
});

function ownStart(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}
