import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { startCommand } from '../command.mjs';

const AMPLE_MS = 60_000;

/**
 * @param {string} script
 * @param {{ limitMs?: number, openMs?: number }} [options]
 */
function started(script, options) {
  return startCommand(['-e', script], { cwd: tmpdir(), env: process.env, limitMs: AMPLE_MS, ...options });
}

describe('a command', () => {
  it('gives its code, and what it said on both streams', async () => {
    const { code, output } = await started('console.log("out"); console.error("err"); process.exitCode = 3').ended;
    expect(code).toBe(3);
    expect(output.split('\n').sort()).toEqual(['', 'err', 'out']);
  });

  it('that hangs is stopped, also when it would end with 0 then', async () => {
    const script = 'process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1000)';
    const { code, why } = await started(script, { limitMs: 100 }).ended;
    expect(code).not.toBe(0);
    expect(why).toContain('it had not come to its end after 0.1 s');
  });

  it('that is stopped, or ended by somebody else, has failed and says why', async () => {
    const hanging = started('setInterval(() => {}, 1000)');
    hanging.stop('nobody waits for it');
    hanging.stop('once is enough');
    expect(await hanging.ended).toMatchObject({ code: 1, why: 'nobody waits for it' });
    const killed = await started('process.kill(process.pid, "SIGKILL")').ended;
    expect(killed).toMatchObject({ code: 137, why: 'ended by SIGKILL' });
    expect(await started('').ended).toEqual({ code: 0, output: '' });
  });

  it('is not waited for longer than it runs, whatever it left behind', async () => {
    const script = `
      const { spawn } = require('node:child_process');
      const left = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit', detached: true });
      console.log(left.pid);
      left.unref();
    `;
    const { code, output } = await started(script, { openMs: 50 }).ended;
    expect(code).toBe(0);
    process.kill(Number(output), 'SIGKILL');
  });
});
