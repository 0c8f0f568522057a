import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { memoryServer } from './memory-server.ts';
import { Team } from './team.ts';

// node src/main.ts ada tapes     remembers that Ada knows about tapes
// node src/main.ts tapes         tells who does

const { positionals } = parseArgs({ allowPositionals: true });
const topic = positionals.at(-1) ?? 'tapes';
const person = positionals.length > 1 ? positionals[0] : undefined;

const team = await Team.connect(new StdioClientTransport(memoryServer(resolve('team.jsonl'))));
if (person !== undefined) await team.knows(person, topic);
for (const name of await team.whoKnows(topic)) process.stdout.write(`${name}\n`);
await team.close();
