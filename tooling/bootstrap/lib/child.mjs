// The two ways the house starts a program: quietly, keeping what it says for the case that it fails; and as the program
// the user asked for, with stdin and stdout untouched and signals passed on.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

const FORWARDED = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);

/**
 * One Ctrl-C reaches us several times: from the terminal, and again from npm, which passes it on. Two of the same kind
 * within this time are one, so that the child is not told to hurry (its second signal means "stop at once").
 */
const SAME_SIGNAL_MS = 500;

/** Another program failed; `output` is what it said. */
export class ChildFailed extends Error {
  /**
   * @param {string} command
   * @param {number} code
   * @param {string} output
   */
  constructor(command, code, output) {
    super(`${command} ended with code ${code}`);
    this.code = code;
    this.output = output;
  }
}

/**
 * Runs a program to its end without showing what it says.
 * @param {{ command: string, args: string[], env?: NodeJS.ProcessEnv, cwd?: string, shell?: boolean }} program
 * @returns {Promise<string>} stdout and stderr, in the order they came
 * @throws {ChildFailed} when it cannot be started or ends with another code than 0
 */
export function runQuietly({ command, args, env, cwd, shell }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, cwd, shell, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = /** @type {Buffer[]} */ ([]);
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
    const stop = killOnSignal(child);
    child.once('error', (error) => {
      stop();
      reject(new ChildFailed(command, 127, error.message));
    });
    child.once('close', (code, signal) => {
      stop();
      const said = Buffer.concat(output).toString();
      if (code === 0) resolve(said);
      else reject(new ChildFailed(command, exitCodeOf(code, signal), said));
    });
  });
}

/**
 * Runs the program the user asked for, waits until it has really ended, and tells its exit code. It gets a process group
 * of its own, so that a signal to ours reaches it once and through us alone: it may need time to finish what is in flight.
 * @param {{ command: string, args: string[], env?: NodeJS.ProcessEnv, cwd?: string }} program
 * @returns {Promise<number>}
 */
export function runThrough({ command, args, env, cwd }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, cwd, stdio: 'inherit', detached: process.platform !== 'win32' });
    const isNew = signalFilter(SAME_SIGNAL_MS);
    /** @param {NodeJS.Signals} signal */
    const forward = (signal) => {
      // On Windows a Ctrl-C reaches every process of the console by itself, and kill() would be the hard way.
      if (isNew(signal, Date.now()) && process.platform !== 'win32') child.kill(signal);
    };
    for (const signal of FORWARDED) process.on(signal, forward);
    const settle = () => {
      for (const signal of FORWARDED) process.off(signal, forward);
    };
    child.once('error', (error) => {
      settle();
      reject(new ChildFailed(command, 127, error.message));
    });
    child.once('exit', (code, signal) => {
      settle();
      resolve(exitCodeOf(code, signal));
    });
  });
}

/**
 * Tells the signals that somebody sent from echoes of the one before.
 * @param {number} windowMs
 * @returns {(signal: string, now: number) => boolean}
 */
export function signalFilter(windowMs) {
  const last = /** @type {Map<string, number>} */ (new Map());
  return (signal, now) => {
    const echo = now - (last.get(signal) ?? Number.NEGATIVE_INFINITY) < windowMs;
    if (!echo) last.set(signal, now);
    return !echo;
  };
}

/**
 * The code a shell would report.
 * @param {number | null} code
 * @param {NodeJS.Signals | null} signal
 */
export function exitCodeOf(code, signal) {
  if (code !== null) return code;
  return signal === null ? 1 : 128 + (constants.signals[signal] ?? 0);
}

/**
 * While a quiet child runs, a signal to us ends the child and then us.
 * @param {import('node:child_process').ChildProcess} child
 */
function killOnSignal(child) {
  /** @param {NodeJS.Signals} signal */
  const end = (signal) => {
    child.kill(signal);
    process.exit(exitCodeOf(null, signal));
  };
  for (const signal of FORWARDED) process.on(signal, end);
  return () => {
    for (const signal of FORWARDED) process.off(signal, end);
  };
}
