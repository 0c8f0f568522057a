import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import process from 'node:process';
import { describe, expect, it, vi } from 'vitest';
import { endLineages, LINEAGE_VARIABLE, type Lineage, startOf } from '../src/lineage.js';

vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>();
  return { ...fs, readdirSync: vi.fn(fs.readdirSync) };
});

const looks = (): number => vi.mocked(readdirSync).mock.calls.filter(([path]) => path === '/proc').length;

/** A process that leads a group of its own and bears a mark. */
function marked(): { readonly child: ChildProcess; readonly lineage: Lineage } {
  const mark = randomUUID();
  const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore', env: { [LINEAGE_VARIABLE]: mark } });
  const group = child.pid ?? 0;
  const since = startOf(group);
  return { child, lineage: since === undefined ? { group, mark } : { group, mark, since } };
}

describe.runIf(process.platform === 'linux')('children that end at the same time', () => {
  it('are looked for together, not one by one', async () => {
    const before = looks();
    const gone = Array.from({ length: 20 }, () => ({ group: 2 ** 30, mark: randomUUID(), since: 0 }));
    await Promise.all(gone.map((lineage) => endLineages([lineage], 0)));
    expect(looks() - before).toBe(1);
  });

  it('are each ended by who asks for it, and by nobody else', async () => {
    const [one, other, third] = [marked(), marked(), marked()];
    const exits = [once(one.child, 'exit'), once(other.child, 'exit')];
    // By the group, and by the mark alone.
    await Promise.all([endLineages([one.lineage], 2000), endLineages([{ ...other.lineage, group: -1 }], 0)]);
    expect(await Promise.all(exits)).toEqual([
      [null, 'SIGTERM'],
      [null, 'SIGKILL'],
    ]);
    expect(third.child.exitCode ?? third.child.signalCode).toBeNull();
    const last = once(third.child, 'exit');
    await endLineages([third.lineage], 0);
    await last;
  });

  it('are looked for anew by who asks while others are being looked for', async () => {
    const late = marked();
    const exit = once(late.child, 'exit');
    let asked: Promise<void> | undefined;
    // A look has begun when it reads which processes there are.
    vi.mocked(readdirSync).mockImplementationOnce(() => {
      asked = endLineages([late.lineage], 0);
      return [];
    });
    await endLineages([{ group: 2 ** 30, mark: randomUUID(), since: 0 }], 0);
    expect(asked).toBeDefined();
    await asked;
    expect(await exit).toEqual([null, 'SIGKILL']);
  });
});
