import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { readTape, type Tape } from '@shadowcat/tape';
import { describe, expect, it } from 'vitest';
import { newDigest, readTapeFile, recoverTape } from '../src/index.js';
import { scratch } from './support/rig.js';

const support = (name: string): string => fileURLToPath(new URL(`./support/${name}`, import.meta.url));

/** Records in another process until it has announced `enough` records, then kills it. How many it had announced. */
async function recordAndKill(path: string, enough: number): Promise<number> {
  const child = spawn(
    process.execPath,
    ['--import', support('source-hooks.mjs'), support('record-forever.mjs'), path],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const exit = once(child, 'exit');
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  let announced = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    announced = Number(line);
    if (announced >= enough) break;
  }
  child.kill('SIGKILL');
  await exit;
  if (announced < enough) throw new Error(`the recording process ended early: ${stderr}`);
  return announced;
}

describe('a recording that is killed', () => {
  it('has every record that it had handed over on disk, and is a tape again after recovery', async () => {
    const path = join(await scratch(), 'x.tape.jsonl');
    const announced = await recordAndKill(path, 24);
    const part = `${path}.part`;
    const tape: Tape = readTape(await readFile(part), { name: part, newDigest });
    const messages = tape.records.filter(({ k }) => k === 'msg');
    expect(messages.length).toBeGreaterThanOrEqual(announced);
    expect(messages).toMatchObject(messages.map((_, index) => ({ x: String(index + 1) })));
    await expect(readTapeFile(part)).rejects.toMatchObject({
      code: 'tape_invalid',
      message: expect.stringContaining(`shadowcat tape recover ${part}`),
    });
    const recovery = await recoverTape(part);
    expect(recovery).toMatchObject({ out: path, open: messages.length });
    expect((await readTapeFile(path)).end).toMatchObject({ recovered: true });
  });
});
