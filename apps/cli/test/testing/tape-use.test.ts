import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { TapeOptions } from '../../src/testing/options.js';
import { TapeError } from '../../src/testing/tape-error.js';
import { TapeUse } from '../../src/testing/tape-use.js';
import { callTools, smallTape } from './small-tape.js';

interface Asked {
  readonly path: string;
  readonly cwd: string;
  readonly options?: TapeOptions;
  readonly env?: Readonly<Record<string, string>>;
  readonly owner?: string;
  readonly repeats?: boolean;
}

function useOf({ path, cwd, options = {}, env = {}, owner = 'a test', repeats = true }: Asked): TapeUse {
  const source = { path, name: 'small.tape.jsonl', options, place: { cwd, env } };
  return new TapeUse({ source, at: new Error('asked for here'), owner, repeats });
}

const MISS =
  /^1 request was not on the tape small\.tape\.jsonl\n {2}error: small\.tape\.jsonl:\d+: not on the tape: tools\/call b /;

describe('one test with a tape of its own', () => {
  it('passes when it asks for all that is on the tape', async () => {
    const use = useOf(await smallTape('a', 'b'));
    const { transport, mode } = await use.open();
    await callTools(transport(), 'a', 'b');
    await use.close({ complete: true });
    expect(mode).toBe('replay');
  });

  it('fails for what is not on the tape, also when it failed before', async () => {
    for (const complete of [true, false]) {
      const use = useOf(await smallTape('a'));
      await callTools((await use.open()).transport(), 'a', 'b');
      await expect(use.close({ complete })).rejects.toThrow(MISS);
    }
  });

  it('fails for what it left unused, unless it failed before or need not use it', async () => {
    const open = async (options: TapeOptions): Promise<TapeUse> => {
      const use = useOf({ ...(await smallTape('a', 'b')), options });
      await callTools((await use.open()).transport(), 'a');
      return use;
    };
    const strict = await open({});
    await expect(strict.close({ complete: true })).rejects.toThrow(
      /^small\.tape\.jsonl was not played to its end\n {2}error: small\.tape\.jsonl:\d+: not asked for: tools\/call b\n {2}if not all /,
    );
    await (await open({})).close({ complete: false });
    await (await open({ allUsed: false })).close({ complete: true });
  });

  it('may leave a tape alone that need not be used up', async () => {
    const use = useOf({ ...(await smallTape('a')), options: { allUsed: false } });
    await use.open();
    await use.close({ complete: true });
  });

  it('is told what an overlay expected and did not see', async () => {
    const tape = await smallTape('a');
    const overlay = join(tape.cwd, 'x.overlay.yaml');
    await writeFile(overlay, 'expect: [{ method: tools/call, target: a, times: 2 }]\n');
    const use = useOf({ ...tape, options: { overlay, allUsed: false } });
    await callTools((await use.open()).transport(), 'a');
    await expect(use.close({ complete: true })).rejects.toThrow('tools/call a was expected 2 times, and came 1 times');
  });

  it('is told what the tape still waits for, also when it failed', async () => {
    const use = useOf(await smallTape('ask'));
    await callTools((await use.open()).transport(), 'ask');
    await expect(use.close({ complete: false })).rejects.toThrow(
      /^small\.tape\.jsonl was not played to its end\n {2}error: small\.tape\.jsonl:\d+: still waiting for the client: roots\/list/,
    );
  });

  it('is told where it asked for the tape', async () => {
    const use = useOf(await smallTape('a'));
    await use.open();
    const error = await use.close({ complete: true }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TapeError);
    expect((error as TapeError).stack).toMatch(
      /^TapeError: small\.tape\.jsonl was not [\s\S]*\n {4}at .*tape-use\.test/,
    );
  });

  it('closes what it opened, once', async () => {
    const use = useOf(await smallTape('a'));
    const { url, transport } = await use.open();
    const client = transport();
    await client.start();
    const left = new Promise<void>((resolve) => {
      client.onclose = resolve;
    });
    await Promise.all([use.close({ complete: false }), left]);
    await use.close({ complete: true });
    await expect(fetch(url)).rejects.toThrow();
    await expect(transport().start()).rejects.toThrow('the tape is closed: it ends with the test');
    expect(use.session).toBeUndefined();
  });
});

describe('tests that share a tape', () => {
  it('are each told what they alone can have missed', async () => {
    const use = useOf({ ...(await smallTape('a')), options: { allUsed: false } });
    const { transport } = await use.open();
    use.began('first');
    await callTools(transport(), 'a');
    use.ended('first');
    use.began('second');
    await callTools(transport(), 'b');
    expect(() => use.ended('second')).toThrow(MISS);
    use.began('third');
    use.ended('third');
    await use.close({ complete: true });
  });

  it('are named together where it can have been several', async () => {
    const use = useOf({ ...(await smallTape('a')), options: { allUsed: false } });
    const { transport } = await use.open();
    use.began('before');
    use.ended('before');
    use.began('left');
    use.began('right');
    await callTools(transport(), 'b');
    use.ended('left');
    use.ended('right');
    use.began('after');
    use.ended('after');
    await expect(use.close({ complete: true })).rejects.toThrow(
      'not on the tape small.tape.jsonl, while these tests ran: left, right\n',
    );
  });

  it('are not blamed for what a hook missed', async () => {
    const use = useOf({ ...(await smallTape('a')), options: { allUsed: false } });
    const { transport } = await use.open();
    await callTools(transport(), 'b');
    use.began('first');
    use.ended('first');
    await expect(use.close({ complete: true })).rejects.toThrow(MISS);
  });
});

describe('a tape that cannot be opened', () => {
  it('says how to record it', async () => {
    const { path, cwd } = await smallTape('a');
    const nowhere = join(cwd, 'nowhere.tape.jsonl');
    const opening = (options: TapeOptions): Promise<unknown> => useOf({ path: nowhere, cwd, options }).open();
    await expect(opening({})).rejects.toThrow(
      'there is no tape nowhere.tape.jsonl\nto record it, give it an upstream and run the test with SHADOWCAT_MODE=record',
    );
    await expect(opening({ upstream: 'http://localhost:1/mcp' })).rejects.toThrow(
      '\nto record it, run the test with SHADOWCAT_MODE=record; then commit it',
    );
    await expect(opening({ replayOnly: true })).rejects.toThrow('first run the one that records it');
    await expect(useOf({ path, cwd, env: { SHADOWCAT_MODE: 'live' } }).open()).rejects.toThrow(
      'SHADOWCAT_MODE=live: small.tape.jsonl has no server: give it one',
    );
  });

  it('says how to record it again when it is damaged', async () => {
    const { path, cwd } = await smallTape('a');
    await writeFile(path, '');
    const upstream = 'http://localhost:1/mcp';
    const opening = (options: TapeOptions): Promise<unknown> => useOf({ path, cwd, options }).open();
    await expect(opening({ upstream })).rejects.toThrow(
      /the file is empty: this is not a tape\.\nto record it again: SHADOWCAT_MODE=record$/,
    );
    await expect(opening({ upstream, replayOnly: true })).rejects.toThrow(/this is not a tape\.$/);
  });

  it('is replayed in every mode when it is for replaying only', async () => {
    const use = useOf({ ...(await smallTape('a')), options: { replayOnly: true }, env: { SHADOWCAT_MODE: 'record' } });
    const { mode, transport } = await use.open();
    await callTools(transport(), 'a');
    await use.close({ complete: true });
    expect(mode).toBe('replay');
  });
});

/** A server that knows how to begin. */
const SERVER = `
  process.stdin.on('data', (lines) => {
    for (const line of String(lines).trim().split('\\n')) {
      const { id, method } = JSON.parse(line);
      const result = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 's', version: '1' } };
      if (method === 'initialize') console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
    }
  });
`;

describe('recording', () => {
  const record = { SHADOWCAT_MODE: 'record' };
  const options: TapeOptions = { upstream: { command: process.execPath, args: ['-e', '0'] } };

  it('is never done on CI', async () => {
    const { path, cwd } = await smallTape('a');
    const before = await readFile(path, 'utf8');
    const use = useOf({ path, cwd, options, env: { ...record, CI: 'true' } });
    await expect(use.open()).rejects.toThrow(
      /^SHADOWCAT_MODE=record: CI is set, and a run on CI never records a tape\n/,
    );
    expect(await readFile(path, 'utf8')).toBe(before);
  });

  it('is done by one test only', async () => {
    const { cwd } = await smallTape();
    const asked = { path: join(cwd, 'new.tape.jsonl'), cwd, options, env: record };
    const one = useOf({ ...asked, owner: 'the test "one"' });
    await one.open();
    const other = useOf({ ...asked, owner: 'the test "other"' });
    const said = vi.spyOn(process.stderr, 'write');
    await expect(other.open()).rejects.toThrow('new.tape.jsonl was recorded already, by the test "one"');
    // The tape itself is none the worse for it.
    expect(said).not.toHaveBeenCalled();
    said.mockRestore();
    await one.close({ complete: false });
  });

  it('is done once at a time, also by the same test', async () => {
    const { cwd } = await smallTape();
    const asked = { path: join(cwd, 'new.tape.jsonl'), cwd, options, env: record, owner: 'the test "one"' };
    const one = useOf(asked);
    await one.open();
    await expect(useOf(asked).open()).rejects.toThrow('new.tape.jsonl was recorded already, by the test "one"');
    await one.close({ complete: false });
  });

  it.for([
    ['is not done twice from one place', false],
    ['is done again when a test is tried again', true],
  ] as const)('%s', async ([, repeats]) => {
    const { cwd } = await smallTape();
    const server = { command: process.execPath, args: ['-e', SERVER] };
    const asked = { path: join(cwd, 'new.tape.jsonl'), cwd, options: { upstream: server }, env: record, repeats };
    const one = useOf(asked);
    await callTools((await one.open()).transport());
    await one.close({ complete: true });
    const again = useOf(asked);
    const opening = again.open();
    if (repeats) await opening;
    else await expect(opening).rejects.toThrow('new.tape.jsonl was recorded already, by a test: one would overwrite');
    await again.close({ complete: false });
  });

  it('writes nothing when nobody came, and says so', async () => {
    const { cwd } = await smallTape();
    const path = join(cwd, 'new.tape.jsonl');
    const use = useOf({ path, cwd, options, env: record, owner: 'nobody' });
    await use.open();
    await expect(use.close({ complete: true })).rejects.toThrow(
      /^new\.tape\.jsonl was not written\n {2}error: new\.tape\.jsonl: nothing was recorded, because no client came$/,
    );
    expect(existsSync(path)).toBe(false);
  });
});
