import { test } from 'node:test';
import { useTape } from 'shadowcat/node-test';
import { adder, told } from './client.js';

const { CHANGED } = process.env;

test('adds', async () => {
  const env = CHANGED === undefined ? {} : { CHANGED };
  const tape = await useTape(told('TAPE'), { upstream: { command: process.execPath, args: [told('SERVER')], env } });
  await using client = await adder(tape.transport());
  process.stdout.write(`${tape.mode} says ${JSON.stringify(await client.add(1, 2))}\n`);
});
