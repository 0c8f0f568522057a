import { ownStdio } from '@shadowcat/transport-stdio';
import { serveLine } from '@shadowcat/wire';
import type { Io, RecordStdioConfig } from './contract.js';
import { lineStack } from './layers.js';
import { Owned } from './owned.js';
import { openProxy } from './proxy.js';
import { stopped } from './stopped.js';
import { counter, systemClock } from './system.js';

/** `shadowcat record --stdio`: one client on our own stdin and stdout, until it closes stdin or `io.stop` fires. */
export async function runRecordStdio(config: RecordStdioConfig, io: Io): Promise<number> {
  const clock = systemClock;
  const { log } = io;
  await using owned = new Owned(log);
  const proxy = await openProxy(config, { io, clock, owned, tapes: 'keep' });
  const connection = ownStdio({ input: process.stdin, output: process.stdout }, { log });
  const line = serveLine(connection, lineStack(proxy.parts)(proxy.upstream), { clock, log, newId: counter('x') });
  owned.add('the line', () => line[Symbol.asyncDispose]());
  await Promise.race([line.done, stopped(io.stop)]);
  return 0;
}
