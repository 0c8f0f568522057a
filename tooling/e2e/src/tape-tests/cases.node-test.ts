import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { useTape } from 'shadowcat/node-test';
import { adder, told } from './client.js';

it('asks what is on the tape', async () => {
  const tape = await useTape(told('TAPE'));
  await using client = await adder(tape.transport());
  assert.deepEqual(await client.add(1, 2), { sum: 3 });
});

it('asks for something else', async () => {
  const tape = await useTape(told('TAPE'), { allUsed: false });
  await using client = await adder(tape.transport());
  await client.add(1, 3).catch(() => {});
});

it('asks for nothing', async () => {
  const tape = await useTape(told('TAPE'));
  await using _client = await adder(tape.transport());
});

it('fails by itself', async () => {
  const tape = await useTape(told('TAPE'));
  await adder(tape.transport());
  throw new Error('its own fault');
});

describe('two at once', { concurrency: true }, () => {
  for (const [name, b] of [
    ['asks right', 2],
    ['asks wrong', 4],
  ] as const) {
    it(name, async () => {
      const tape = await useTape(told('TAPE'), { allUsed: false });
      await using client = await adder(tape.transport());
      await client.add(1, b).catch(() => {});
    });
  }
});

describe('a shared tape', () => {
  const tape = useTape(told('TAPE'), { allUsed: false });
  for (const [name, b] of [
    ['first', 2],
    ['second', 5],
    ['third', 2],
  ] as const) {
    it(`${name} of them`, async () => {
      await using client = await adder(tape.transport());
      await client.add(1, b).catch(() => {});
    });
  }
});

describe('a shared tape that is not used up', () => {
  const tape = useTape(told('TAPE'));
  it('is connected to', async () => {
    await using _client = await adder(tape.transport());
  });
});
