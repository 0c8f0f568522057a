import { spawn } from 'node:child_process';
import { exitCodeOf } from '../bootstrap/lib/child.mjs';

/** How long a command that was told to end may take, before it is killed. Milliseconds. */
const KILL_MS = 3_000;
/** How long what a command left behind may keep its output open. Milliseconds. */
const OPEN_MS = 5_000;

/**
 * @typedef {object} End
 * @property {number} code
 * @property {string} output what it said, on stdout and stderr
 * @property {string} [why] it did not end by itself
 *
 * @typedef {object} Command under way
 * @property {Promise<End>} ended never rejects
 * @property {(why: string) => void} stop makes it end soon, with another code than 0
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
  const timers = /** @type {NodeJS.Timeout[]} */ ([]);
  /** @type {string | undefined} */
  let stopped;
  const stop = (/** @type {string} */ why) => {
    if (stopped !== undefined) return;
    stopped = why;
    child.kill('SIGTERM');
    timers.push(setTimeout(() => child.kill('SIGKILL'), KILL_MS));
  };
  timers.push(setTimeout(() => stop(`stopped, because it had not come to its end after ${limitMs / 1000} s`), limitMs));
  const ended = new Promise((/** @type {(end: End) => void} */ resolve) => {
    const settle = (/** @type {number} */ code, /** @type {string | undefined} */ why) => {
      for (const timer of timers) clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve(why === undefined ? { code, output } : { code, output, why });
    };
    child.once('error', (error) => settle(1, error.message));
    child.once('exit', (code, signal) => {
      const why = stopped ?? (signal === null ? undefined : `ended by ${signal}`);
      const done = () => settle(stopped === undefined ? exitCodeOf(code, signal) : 1, why);
      timers.push(setTimeout(done, openMs));
      child.once('close', done);
    });
  });
  return { ended, stop };
}
