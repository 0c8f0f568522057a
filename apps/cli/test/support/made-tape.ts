import { join } from 'node:path';
import { silentLog } from '@shadowcat/kernel';
import { openTapeFile } from '@shadowcat/tape-file';
import { systemClock } from '../../src/stack/system.js';
import { OPENED } from './live-server.js';

/** A recorded request and what came back. */
export interface Made {
  readonly method: string;
  readonly params?: object;
  /** `result` or `error`. */
  readonly answer: object;
}

export const call = (name: string, answer: object, args: object = {}): Made => ({
  method: 'tools/call',
  params: { name, arguments: args },
  answer,
});

/** Writes a capture of one session; a list in `sent` is a batch. `about`: more members of its head. Resolves with its path. */
export async function madeTape(
  cwd: string,
  name: string,
  sent: readonly (Made | readonly Made[])[],
  about: object = {},
): Promise<string> {
  const path = join(cwd, name);
  const head = JSON.stringify({ k: 'head', v: 1, form: 'capture', requires: [], ...about });
  const writer = openTapeFile(path, { head }, { clock: systemClock, log: silentLog });
  const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'made', version: '1' } };
  const bodies = [{ method: 'initialize', params, answer: OPENED }, ...sent];
  for (const [index, body] of bodies.entries()) {
    const common = { k: 'msg', s: 's1', x: String(index), ...(Array.isArray(body) ? { batch: true } : {}) };
    const asked: readonly Made[] = [body].flat();
    const messages = [
      ...asked.map(({ method, params: given }, at) => ({
        from: 'client',
        m: { id: idOf(index, at), method, params: given },
      })),
      ...asked.map(({ answer }, at) => ({ from: 'server', m: { id: idOf(index, at), ...answer } })),
    ];
    for (const { from, m } of messages) writer.append(JSON.stringify({ ...common, from, m: { jsonrpc: '2.0', ...m } }));
    writer.append(JSON.stringify({ k: 'x-', s: 's1', x: String(index), end: 'answered' }));
  }
  await writer.finish();
  return path;
}

const idOf = (body: number, at: number): number => 100 * body + at + 1;
