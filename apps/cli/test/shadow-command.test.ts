import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Difference, Tally } from '@shadowcat/shadow';
import { describe, expect, it } from 'vitest';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const at = Date.UTC(2026, 6, 28, 10);
const look = { method: 'tools/call', tool: 'look' };
const list = { method: 'tools/list', tool: '' };
const differs = (pointer: string): Difference => ({
  pointer,
  place: pointer,
  kind: 'value',
  primary: 'string',
  shadow: 'string',
});

/** The report on what was counted; the file is where it is by default, or has this name. */
async function report(
  count: (tally: Tally) => string | undefined,
  argv: readonly string[] = [],
  file = 'shadow.jsonl',
) {
  const tally = new Tally();
  const text = count(tally) ?? tally.drain();
  const cwd = emptyDirectory({ 'shadowcat.yaml': `mirror-findings: shadow.jsonl\n` });
  writeFileSync(join(cwd, file), text);
  return shadowcat(['shadow', 'report', ...argv], { cwd });
}

describe('shadow report', () => {
  it('shows where answers differ, the most frequent ones first, and exits with 1', async () => {
    const { code, out, err } = await report((tally) => {
      for (let step = 0; step < 8; step += 1) tally.answered(look, step < 2 ? [differs('/b'), differs('/a')] : [], at);
      tally.answered(look, [differs('/b')], at + 60_000);
      tally.answered(list, [], at);
      tally.failed(list, at);
      return undefined;
    });
    expect({ code, err }).toEqual({ code: 1, err: '' });
    const rows = out.split('\n').map((line) => line.replaceAll(/ {2,}/g, ' | '));
    expect(rows).toEqual([
      '10 requests compared, 3 of them answered differently, 1 more not answered by the second server',
      '',
      'METHOD | NAME | COMPARED | DIFFERENT | FAILED',
      'tools/call | look | 9 | 3 | 0',
      'tools/list | 1 | 0 | 1',
      '',
      'METHOD | NAME | COUNT | SHARE | KIND | FIRST | SECOND | SINCE | LAST | POINTER',
      'tools/call | look | 3 | 33.3% | value | string | string | 2026-07-28T10:00:00 | 2026-07-28T10:01:00 | /b',
      'tools/call | look | 2 | 22.2% | value | string | string | 2026-07-28T10:00:00 | 2026-07-28T10:00:00 | /a',
      '',
    ]);
  });

  it('is JSON if asked', async () => {
    const { out } = await report((tally) => void tally.answered(look, [differs('/a')], at), ['--format', 'json']);
    expect(JSON.parse(out)).toEqual({
      compared: [
        {
          ...look,
          compared: 1,
          different: 1,
          failed: 0,
          first: '2026-07-28T10:00:00.000Z',
          last: '2026-07-28T10:00:00.000Z',
        },
      ],
      differences: [
        expect.objectContaining({ ...look, pointer: '/a', kind: 'value', primary: 'string', count: 1, share: 1 }),
      ],
    });
  });

  it('exits with 0 when all answers are the same, and with 4 when that is not known', async () => {
    expect((await report((tally) => void tally.answered(look, [], at))).code).toBe(0);
    expect((await report(() => '')).code).toBe(4);
    const incomplete = await report((tally) => {
      tally.answered(look, [], at);
      tally.failed(list, at);
      return undefined;
    });
    expect(incomplete.code).toBe(4);
  });

  it('reads the file that is named, whatever is wrong with the configuration', async () => {
    const cwd = emptyDirectory({ 'shadowcat.yaml': 'broken: [\n', 'own.jsonl': '' });
    expect(await shadowcat(['shadow', 'report', 'own.jsonl'], { cwd })).toMatchObject({ code: 4 });
    expect(await shadowcat(['shadow', 'report'], { cwd })).toMatchObject({ code: 2 });
  });

  it('says which lines it cannot read, and exits with 3 when it can read none', async () => {
    const cut = await report((tally) => {
      tally.answered(look, [], at);
      return `${tally.drain()}{"k":"comp`;
    });
    expect(cut).toMatchObject({ code: 0, err: 'shadowcat: 1 lines of shadow.jsonl cannot be read and are left out\n' });
    expect(await report(() => 'hello\n')).toMatchObject({
      code: 3,
      err: 'shadowcat: shadow.jsonl holds no findings\n',
    });
    const missing = await report(() => '', ['none.jsonl']);
    expect(missing).toMatchObject({ code: 3, err: 'shadowcat: there is no none.jsonl: nothing was mirrored yet\n' });
  });

  it('does not wait for a pipe, nor read what is no file or far too large', async () => {
    const cwd = emptyDirectory({ 'huge.jsonl': '' });
    execFileSync('mkfifo', [join(cwd, 'pipe.jsonl')]);
    truncateSync(join(cwd, 'huge.jsonl'), 3 * 1024 ** 3);
    const read = (name: string) => shadowcat(['shadow', 'report', name], { cwd });
    const noFile = (name: string): string => `shadowcat: ${name} is no file of findings: name a regular file\n`;
    for (const name of ['pipe.jsonl', '.']) expect(await read(name)).toMatchObject({ code: 3, err: noFile(name) });
    const { code, err } = await read('huge.jsonl');
    expect([code, err]).toEqual([3, expect.stringContaining('is larger than any file of findings')]);
  });

  it('sends nothing to the terminal that would steer it', async () => {
    const { out } = await report((tally) => void tally.answered({ ...look, tool: 'x\u001b[2J' }, [differs('/\n')], at));
    expect(out).toContain('x\\u001b[2J');
    expect(out).toContain('/\\u000a');
  });
});
