import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ClientKind, drive } from '../src/clients.js';
import { fixtureServer } from '../src/servers.js';
import { runShadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';
import type { Tour } from '../src/tours.js';

const tour: Tour = async (scribe) => {
  await scribe.listTools();
  await scribe.call('echo', { text: 'Grüße, 世界 ☃' });
  await scribe.call('big', { bytes: 50_000 });
  await scribe.call('progress', { steps: 3, delayMs: 10 }, { progress: true });
  await scribe.call('test_sampling', { prompt: 'Say hello' });
  await scribe.call('no_such_tool');
};

describe.each<ClientKind>(['v1', 'v2-pinned'])('a recording of %s', { timeout: 120_000 }, (kind) => {
  it('is the same tape again after HAR, and replays the same after a pack', async () => {
    await using folder = await workFolder();
    const { path } = folder;
    const ok = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await runShadowcat(['tape', ...args], path);
      expect({ args, code, stderr }).toMatchObject({ code: 0 });
      return stdout;
    };
    const { target } = fixtureServer();
    await using proxy = await startShadowcat(
      ['record', '--bridge', 'off', '--out', join(path, 'a.tape.jsonl'), '--', target.command, ...target.args],
      path,
    );
    const live = await drive(kind, { url: proxy.url }, { tour });
    expect((await proxy.stop()).code).toBe(0);

    const [har] = await Promise.all([
      ok('export', 'a.tape.jsonl', '--format', 'har'),
      ok('export', 'a.tape.jsonl', '--format', 'har', '-o', 'a.har'),
    ]);
    expect(await readFile(join(path, 'a.har'), 'utf8')).toBe(har);
    await Promise.all([ok('import', 'a.har', '-o', 'b.tape.jsonl'), ok('fmt', 'a.tape.jsonl')]);
    expect(await readFile(join(path, 'b.tape.jsonl'), 'utf8')).toBe(await readFile(join(path, 'a.tape.jsonl'), 'utf8'));

    await ok('pack', 'a.tape.jsonl', 'b.tape.jsonl', '-o', 'bug.tape.tar.gz');
    await mkdir(join(path, 'elsewhere'));
    await rename(join(path, 'bug.tape.tar.gz'), join(path, 'elsewhere', 'bug.tape.tar.gz'));
    expect(await ok('unpack', 'elsewhere/bug.tape.tar.gz', '-o', 'there')).toBe(
      'there/a.tape.jsonl\nthere/b.tape.jsonl\n',
    );
    await using replay = await startShadowcat(['replay', 'there/a.tape.jsonl'], path);
    expect(await drive(kind, { url: replay.url }, { tour })).toEqual(live);
    expect((await replay.stop()).code).toBe(0);
  });
});
