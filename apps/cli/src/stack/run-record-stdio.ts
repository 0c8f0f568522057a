import type { Io, RecordStdioConfig } from './contract.js';
import { lineStack } from './layers.js';
import { Owned } from './owned.js';
import { openProxy } from './proxy.js';
import { serveStdio } from './serve-stdio.js';
import { systemClock } from './system.js';

/** `shadowcat record --stdio`: one client on our own stdin and stdout, until it closes stdin or `io.stop` fires. */
export async function runRecordStdio(config: RecordStdioConfig, io: Io): Promise<number> {
  const clock = systemClock;
  await using owned = new Owned(io.log);
  const proxy = await openProxy(config, { io, clock, owned, tapes: 'keep' });
  await serveStdio(lineStack(proxy.parts)(proxy.upstream), { io, clock, owned, drainMs: config.drainMs });
  return 0;
}
