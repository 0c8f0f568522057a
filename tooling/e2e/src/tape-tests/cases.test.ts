import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { useTape } from 'shadowcat/vitest';
import { afterAll, describe, expect, it } from 'vitest';
import { adder, adderAt, told } from './client.js';

const TAPE = told('TAPE');

describe('a tape of its own', () => {
  it('is asked in this process', async () => {
    const tape = await useTape(TAPE);
    await using client = await adder(tape.transport());
    expect(await client.add(1, 2)).toEqual({ sum: 3 });
  });

  it('is asked over HTTP', async () => {
    const tape = await useTape(TAPE);
    await using client = await adderAt(tape.url);
    expect(await client.add(1, 2)).toEqual({ sum: 3 });
  });

  it('is asked by a command', async () => {
    const tape = await useTape(TAPE);
    await using client = await adder(new StdioClientTransport(tape.command));
    expect(await client.add(1, 2)).toEqual({ sum: 3 });
  });

  it.for(['in this process', 'over HTTP'])('is asked by a client that knows both eras, %s', async (how) => {
    const tape = await useTape(TAPE);
    const client = new ClientV2({ name: 'adder', version: '2.0.0' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(how === 'over HTTP' ? new HttpV2(new URL(tape.url)) : tape.transport());
    const { structuredContent } = await client.callTool({ name: 'add', arguments: { a: 1, b: 2 } });
    expect(structuredContent).toEqual({ sum: 3 });
    await client.close();
  });

  it('is asked for something else', async () => {
    const tape = await useTape(TAPE);
    await using client = await adder(tape.transport());
    await client.add(1, 3).catch(() => {});
  });

  it('is asked for something else by a command', async () => {
    const tape = await useTape(TAPE);
    await using client = await adder(new StdioClientTransport(tape.command));
    await client.add(7, 3).catch(() => {});
  });

  it('is asked for nothing', async () => {
    const tape = await useTape(TAPE);
    await using _client = await adder(tape.transport());
  });

  it('may be asked for nothing', async () => {
    const tape = await useTape(TAPE, { allUsed: false });
    await using _client = await adder(tape.transport());
  });

  it('is not there', async () => {
    await useTape('nowhere.tape.jsonl', { upstream: 'http://127.0.0.1:9/mcp' });
  });

  it('is not waited for', () => {
    expect(useTape(TAPE, { allUsed: false }).url).toBe('');
  });

  it('is left open by a test that fails', async () => {
    const tape = await useTape(TAPE);
    await adderAt(tape.url);
    throw new Error('its own fault');
  });
});

describe('tests that run at once', () => {
  it.concurrent('do not say who they are', async () => {
    await useTape(TAPE);
  });

  it.concurrent.for([
    ['asks right', 2],
    ['asks wrong', 4],
  ] as const)('one %s', async ([, b], test) => {
    const tape = await useTape(TAPE, { test, allUsed: false });
    await using client = await adder(tape.transport());
    await client.add(1, b).catch(() => {});
  });
});

describe('a tape that tests share', () => {
  const tape = useTape(TAPE, { allUsed: false });

  it.for([
    ['first', 2],
    ['second', 5],
    ['third', 2],
  ] as const)('%s', async ([, b]) => {
    await using client = await adder(tape.transport());
    await client.add(1, b).catch(() => {});
  });
});

describe('a tape that all tests together do not use up', () => {
  const tape = useTape(TAPE);

  it('is connected to', async () => {
    await using _client = await adder(tape.transport());
  });
});

describe('a tape of which not all tests run', () => {
  const tape = useTape(TAPE);

  it('is connected to', async () => {
    await using _client = await adder(tape.transport());
  });

  it.todo('would use it up');
});

describe.concurrent('a tape that tests share at once', () => {
  const tape = useTape(TAPE, { allUsed: false });
  /** Resolves when both have called. */
  const meeting = (): (() => Promise<void>) => {
    const both = Promise.withResolvers<void>();
    let come = 0;
    return () => {
      come += 1;
      if (come === 2) both.resolve();
      return both.promise;
    };
  };
  const [bothBegan, bothAsked] = [meeting(), meeting()];

  it.for([
    ['left', 2],
    ['right', 6],
  ] as const)('%s', async ([, b]) => {
    await bothBegan();
    await using client = await adder(tape.transport());
    await client.add(1, b).catch(() => {});
    await bothAsked();
  });
});

describe('a tape that is awaited where no test runs', () => {
  const tape = useTape(TAPE);
  afterAll(async () => {
    await expect(tape).rejects.toThrow('inside of a test only');
  });

  it('is not used', () => {});
});
