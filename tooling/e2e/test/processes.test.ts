import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { isAlive } from '../src/process-table.js';
import { freePort, OwnedProcess, run, startWithUrl } from '../src/processes.js';

const node = (script: string) => ({ command: process.execPath, args: ['-e', script] });

/** Prints a child's pid, then waits. With `detached` the child is in a session of its own and survives its parent. */
const parentOf = (detached: boolean): string => `
  const { spawn } = require('node:child_process');
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore', detached: ${detached} });
  console.log(child.pid);
  setInterval(() => {}, 1000);
`;

describe('OwnedProcess', () => {
  it('gives the exit code, stdout and stderr', async () => {
    const exit = await run(node('console.log("out"); console.error("err"); process.exitCode = 3'));
    expect(exit).toEqual({ code: 3, signal: null, stdout: 'out\n', stderr: 'err\n' });
  });

  it('waits for a line that comes late, and finds one that came early', async () => {
    await using owned = await OwnedProcess.start(
      node('console.log("first"); setTimeout(() => console.log("second"), 50); setInterval(() => {}, 1000)'),
    );
    expect(await owned.line(/second/)).toBe('second');
    expect(await owned.line(/first/)).toBe('first');
  });

  it('says what was on stderr when the line does not come', async () => {
    await using owned = await OwnedProcess.start(node('console.error("no config"); process.exitCode = 1'));
    await expect(owned.line(/ready/)).rejects.toThrow(/no line \/ready\/ on stdout[\s\S]*no config/);
  });

  it('rejects a command that does not exist', async () => {
    await expect(OwnedProcess.start({ command: '/no/such/command' })).rejects.toThrow('ENOENT');
  });

  it('is killed when it does not end by itself', async () => {
    const script = 'process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)';
    await using owned = await OwnedProcess.start(node(script));
    await owned.line(/up/);
    expect(await owned.stop({ graceMs: 100 })).toMatchObject({ code: null, signal: 'SIGKILL' });
  });

  it.each([false, true])('leaves no descendant behind (detached: %s)', async (detached) => {
    let child = 0;
    {
      await using owned = await OwnedProcess.start(node(parentOf(detached)));
      child = Number(await owned.line(/^\d+$/));
      expect(owned.descendants().map(({ pid }) => pid)).toContain(child);
      await owned.stop();
      expect(owned.survivors().map(({ pid }) => pid)).toEqual([child]);
    }
    expect(isAlive(child)).toBe(false);
  });
});

describe('startWithUrl', () => {
  it('gives the URL of the first line', async () => {
    await using owned = await startWithUrl(node('console.log("http://127.0.0.1:9/mcp"); setInterval(() => {}, 1000)'));
    expect(owned.url).toBe('http://127.0.0.1:9/mcp');
  });

  it('rejects a first line that is no URL', async () => {
    await expect(startWithUrl(node('console.log("hello"); setInterval(() => {}, 1000)'))).rejects.toThrow(
      'Invalid URL',
    );
  });
});

it('freePort gives a port that can be listened on', async () => {
  const port = await freePort();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await new Promise<void>((resolve) => server.close(() => resolve()));
  expect(port).toBeGreaterThan(0);
});
