import { toolCall, toolText } from './calls.js';
import { openSession, type RawSession } from './raw-mcp.js';

/*
 * `leak-load.js URL CALLS SESSIONS`: opens and closes sessions, then sends calls over a few that last. Prints what went
 * wrong, a line each.
 */

const CLIENTS = 8;
const [url = '', calls = '0', sessions = '0'] = process.argv.slice(2);

await inParallel(Number(sessions), async () => closed(await openSession(url)));
const lasting = await Promise.all(Array.from({ length: CLIENTS }, () => openSession(url)));
await inParallel(Number(calls), async (id, client) => {
  const session = lasting[client];
  const text = session === undefined ? 'no session' : await toolText(await session.post(toolCall(id, 'any')), id);
  if (!/^\d+$/.test(text)) process.stdout.write(`${text}\n`);
});
await Promise.all(lasting.map(closed));

async function closed(session: RawSession): Promise<void> {
  await (await session.delete()).arrayBuffer();
}

/** `work` gets the number of the piece and that of the client, who does one at a time. */
async function inParallel(count: number, work: (index: number, client: number) => Promise<void>): Promise<void> {
  let next = 0;
  const client = async (own: number): Promise<void> => {
    while (next < count) await work(next++, own);
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, own) => client(own)));
}
