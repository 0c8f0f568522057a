import { spawn } from 'node:child_process';
import { exitCodeOf } from '../bootstrap/lib/child.mjs';

/** How long a command that was told to end may take, before it is killed. Milliseconds. */
const KILL_MS = 10_000;
/** How long what a command left behind may keep its output open. Milliseconds. */
const OPEN_MS = 5_000;

/**
 * @typedef {object} Command under way
 * @property {Promise<{ code: number, output: string }>} ended never rejects
 * @property {() => string} output what it has said so far, on stdout and stderr
 * @property {(signal: NodeJS.Signals) => void} kill
 */

/**
 * Starts Node and keeps what it says. It has an end in any case: a command that hangs is stopped, and what it started and left
 * behind is not waited for.
 * @param {string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, limitMs: number, openMs?: number }} options `limitMs`: how long it may take
 * @returns {Command}
 */
export function startCommand(args, { cwd, env, limitMs, openMs = OPEN_MS }) {
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const ended = new Promise((/** @type {(end: { code: number, output: string }) => void} */ resolve) => {
    const timers = /** @type {NodeJS.Timeout[]} */ ([]);
    let late = false;
    const settle = (/** @type {number} */ code) => {
      for (const timer of timers) clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ code, output });
    };
    const stop = () => {
      late = true;
      output += `\nit was stopped, because it had not come to its end after ${limitMs / 1000} s\n`;
      child.kill('SIGTERM');
      timers.push(setTimeout(() => child.kill('SIGKILL'), KILL_MS));
    };
    timers.push(setTimeout(stop, limitMs));
    child.once('error', (error) => {
      output += `${error.message}\n`;
      settle(1);
    });
    child.once('exit', (code, signal) => {
      const done = () => settle(late ? 1 : exitCodeOf(code, signal));
      timers.push(setTimeout(done, openMs));
      child.once('close', done);
    });
  });
  return { ended, output: () => output, kill: (signal) => void child.kill(signal) };
}
