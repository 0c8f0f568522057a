import { existsSync, mkdtempSync, rmdirSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { nodeProblem } from '../node-version.js';
import type { ListenAddress } from '../stack/contract.js';

/** One line of the doctor's report. `warn` does not make the exit code 1. */
export interface Finding {
  readonly subject: string;
  readonly verdict: 'ok' | 'warn' | 'fail';
  readonly text: string;
}

/** Less is likely to run out while recording. */
const LOW_DISK_BYTES = 200 * 1024 * 1024;

export function nodeFinding(version: string): Finding {
  const problem = nodeProblem(version, process.execPath);
  if (problem === undefined) return { subject: 'node', verdict: 'ok', text: version };
  return { subject: 'node', verdict: 'fail', text: problem.split('\n')[0] ?? '' };
}

/** Whether the address can be listened on at this moment. */
export function listenFinding({ host, port }: ListenAddress): Promise<Finding> {
  const where = `${host}:${port}`;
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reasons: Record<string, string> = {
        EADDRINUSE: 'is in use: stop what listens there, or choose another with --listen',
        EACCES: 'may not be listened on by this user: choose a port above 1023',
        EADDRNOTAVAIL: 'is no address of this machine',
      };
      const text = `${where} ${reasons[error.code ?? ''] ?? `cannot be listened on (${error.code ?? error.message})`}`;
      resolve({ subject: 'listen', verdict: 'fail', text });
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => resolve({ subject: 'listen', verdict: 'ok', text: `${where} is free` }));
    });
  });
}

/** Whether files can be made in a directory that may still have to be made itself, and how much room there is. */
export function directoryFinding(subject: string, directory: string): Finding {
  let existing = directory;
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    // Tried and not asked for: that a place may be written to does not say that it can be.
    rmdirSync(mkdtempSync(join(existing, '.shadowcat-doctor-')));
  } catch {
    return { subject, verdict: 'fail', text: `${existing} cannot be written to by this user` };
  }
  const { bavail, bsize } = statfsSync(existing);
  const free = bavail * bsize;
  const room = `${Math.floor(free / (1024 * 1024))} MiB free`;
  if (free < LOW_DISK_BYTES)
    return { subject, verdict: 'warn', text: `${directory} can be written, but there are only ${room}` };
  return { subject, verdict: 'ok', text: `${directory} can be written, ${room}` };
}
