import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withLock } from '../lib/lock.mjs';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shadowcat-lock-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('withLock', () => {
  it('holds the lock while it works and leaves nothing behind', async () => {
    const file = join(folder, 'lock');
    const held = await withLock(file, async () => readFileSync(file, 'utf8'));
    expect(held).toBe(String(process.pid));
    expect(readdirSync(folder)).toEqual([]);
  });

  it('leaves nothing behind when the work fails', async () => {
    const file = join(folder, 'lock');
    await expect(withLock(file, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(existsSync(file)).toBe(false);
  });

  it('takes over the lock of a process that has died', async () => {
    const file = join(folder, 'lock');
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    writeFileSync(file, String(dead));
    expect(await withLock(file, async () => 'worked')).toBe('worked');
  });

  it('takes over a lock that names nobody', async () => {
    const file = join(folder, 'lock');
    writeFileSync(file, 'nobody');
    expect(await withLock(file, async () => 'worked')).toBe('worked');
  });
});
