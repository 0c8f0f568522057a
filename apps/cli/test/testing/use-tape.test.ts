import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import type { Call, Framework, Spot } from '../../src/testing/frameworks.js';
import { TapeError } from '../../src/testing/tape-error.js';
import type { TapeUse } from '../../src/testing/tape-use.js';
import { openTape, type UsedTape, usedTape } from '../../src/testing/use-tape.js';
import { callTools, smallTape } from './small-tape.js';

interface Asked {
  readonly tape: UsedTape;
  readonly use: TapeUse | undefined;
  /** What the framework was told about the call. */
  readonly file: string | undefined;
  readonly line: string | undefined;
}

/** Asks for a tape where a framework says that the test file is in `directory`. */
function ask(name: string | URL, place: Pick<Spot, 'directory' | 'inTest'>, at = new Error('asked for here')): Asked {
  let use: TapeUse | undefined;
  let told: Partial<Call> = {};
  const framework: Framework = {
    spot: (call) => {
      told = call;
      const attach = (attached: TapeUse): void => {
        use = attached;
      };
      return { ...place, owner: 'a test', repeats: false, attach };
    },
  };
  const tape = usedTape(framework, { name, options: {}, at });
  return { tape, use, file: told.file, line: told.line };
}

describe('useTape', () => {
  it('begins relative paths at the test file, and takes absolute ones and URLs', async () => {
    const { path, cwd } = await smallTape('a');
    for (const name of ['small.tape.jsonl', path, pathToFileURL(path), pathToFileURL(path).href]) {
      const { tape, use } = ask(name, { directory: cwd, inTest: true });
      const opened = await tape;
      await callTools(opened.transport(), 'a');
      expect(opened.path).toBe(path);
      await use?.close({ complete: true });
    }
  });

  it('refuses what is no file, and says what to write', () => {
    const place = { directory: '/', inTest: true };
    const jsdom = new URL('http://localhost:3000/x.tape.jsonl');
    expect(() => ask(jsdom, place)).toThrow(
      /^useTape: http:\/\/localhost:3000\/x\.tape\.jsonl is no file, so write the path instead/,
    );
    expect(() => ask(undefined as unknown as string, place)).toThrow('useTape: undefined is no name of a file');
    const thrown = thrownBy(() => ask(jsdom, place));
    expect(thrown).toBeInstanceOf(TapeError);
    expect((thrown as TapeError).stack).toMatch(/\n {4}at ask .*use-tape\.test/);
  });

  it.for([
    ['a named function', 'at TestContext.<anonymous> (file:///home/me/my%20(own)/x.test.mjs:7:47)'],
    ['no name', 'at file:///home/me/my%20(own)/x.test.mjs:7:47'],
    ['an asynchronous one without a name', 'at async file:///home/me/my%20(own)/x.test.mjs:7:47'],
    ['CommonJS', 'at TestContext.<anonymous> (/home/me/my (own)/x.test.mjs:7:47)'],
    ['CommonJS and no name', 'at /home/me/my (own)/x.test.mjs:7:47'],
  ])('finds the calling file in a stack with %s', ([, frame]) => {
    const place = new Error('asked for here');
    place.stack = `Error: asked for here\n    ${frame}\n    at Test.run (node:internal/test_runner/test:1402:25)`;
    expect(ask('x.tape.jsonl', { directory: '', inTest: true }, place)).toMatchObject({
      file: '/home/me/my (own)/x.test.mjs',
      line: '7',
    });
  });

  it('tells the framework which file calls', () => {
    expect(ask('small.tape.jsonl', { directory: '', inTest: true }).file).toMatch(/use-tape\.test\.ts$/);
  });

  it('is awaited in tests only, and says so', async () => {
    const { path } = await smallTape('a');
    const { tape, use } = ask(path, { directory: dirname(path), inTest: false });
    const early = await Promise.resolve(tape).catch((thrown: unknown) => thrown);
    expect((early as Error).stack).toMatch(
      /useTape is awaited inside of a test only[\s\S]*\n {4}at ask .*use-tape\.test/,
    );
    for (const read of [() => tape.url, () => tape.command, () => tape.mode, () => tape.path, () => tape.transport()]) {
      expect(read).toThrow('the tape is not open');
    }
    await use?.open();
    expect(tape).toMatchObject({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/),
      mode: 'replay',
      path,
    });
    expect(tape.command.args.at(-1)).toBe(tape.url.replace('http', 'ws'));
    await callTools(tape.transport(), 'a');
    await use?.close({ complete: true });
  });
});

describe('openTape', () => {
  it('closes with what it has against whoever used it, once', async () => {
    const { path } = await smallTape('a');
    const good = await openTape(path);
    await callTools(good.transport(), 'a');
    await Promise.all([good.close(), good.close()]);

    const missed = await openTape(path);
    await callTools(missed.transport(), 'a', 'b');
    await expect(missed.close()).rejects.toThrow('not on the tape: tools/call b');
    await expect(missed[Symbol.asyncDispose]()).rejects.toThrow('not on the tape: tools/call b');

    const unused = await openTape(path);
    await expect(unused.close()).rejects.toThrow('was not played to its end');
  });

  it.for(['transport', 'url'] as const)(
    'keeps real time while the test has a fake one, with a client at its %s',
    async (way) => {
      const { path } = await smallTape('a');
      vi.useFakeTimers();
      try {
        const tape = await openTape(path, { time: 'recorded' });
        const open = way === 'url' ? await openSession(tape.url) : callTools(tape.transport(), 'a');
        await open;
        vi.advanceTimersByTime(24 * 60 * 60 * 1000);
        await tape.close().catch(() => {});
      } finally {
        vi.useRealTimers();
      }
    },
  );

  it('rejects where there is no tape', async () => {
    await expect(openTape('nowhere.tape.jsonl')).rejects.toThrow('there is no tape nowhere.tape.jsonl');
  });
});

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** A client over HTTP that opens a session and leaves it open. */
async function openSession(url: string): Promise<void> {
  const clientInfo = { name: 'c', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
  });
  expect(answer.status).toBe(200);
  await answer.text();
}
