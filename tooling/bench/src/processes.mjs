// Every process of a run: each is the head of a group of its own, and none is left when the run ends, however it ends.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Problem } from './problem.mjs';

const STOP_MS = 5000;
const START_MS = 30_000;
/** What of a process's stderr is kept for the message about its end, in characters. */
const KEPT = 4000;

/** Heads of the groups that are running. */
const running = new Set();
const folders = new Set();

// The last resort: nothing asynchronous happens here any more.
process.on('exit', () => {
  for (const pid of running) signalGroup(pid, 'SIGKILL');
  for (const folder of folders) removeFolder(folder);
});

/** A folder of this run's own. */
export function makeFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'shadowcat-bench-'));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** Sends a signal to a process group; false when there is none any more. */
function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * Starts a process in a group of its own.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 */
export function start(command, args, options = {}) {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const { pid } = child;
  if (pid !== undefined) running.add(pid);
  let said = '';
  let complained = '';
  const line = Promise.withResolvers();
  const ended = new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(`ended (${signal ?? `exit code ${code}`})`));
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
  });
  child.stdout.on('data', (chunk) => {
    if (said.includes('\n')) return;
    said += chunk;
    if (said.includes('\n')) line.resolve(said.slice(0, said.indexOf('\n')).trim());
  });
  child.stderr.on('data', (chunk) => {
    complained = (complained + chunk).slice(-KEPT);
  });
  const failure = (what) => new Problem(`${command} ${args[0] ?? ''} ${what}\n${complained.trim()}`.trim());
  /** What `promise` resolves to, unless the process ends first or takes longer than `ms`. */
  const orEnd = async (promise, ms = START_MS) => {
    const late = AbortSignal.timeout(ms);
    const tooLate = new Promise((resolve) => {
      late.onabort = () => resolve(`was not ready after ${ms / 1000} s`);
    });
    const gone = Promise.race([ended, tooLate]).then((what) => Promise.reject(failure(what)));
    try {
      return await Promise.race([promise, gone]);
    } finally {
      late.onabort = null;
      gone.catch(() => {});
    }
  };
  return {
    pid,
    /** The first line on stdout. */
    firstLine: (ms) => orEnd(line.promise, ms),
    orEnd,
    /** Ends the group: gently, then by force. Idempotent. */
    async stop() {
      if (pid === undefined) return;
      signalGroup(pid, 'SIGTERM');
      const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
      // Its children may take longer than it does.
      signalGroup(pid, 'SIGKILL');
      running.delete(pid);
    },
  };
}
