import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const tapes = (): string => emptyDirectory({ 'a.tape.jsonl': '', 'b.tape.jsonl': '', 'o.overlay.yaml': '' });

describe('verify', () => {
  it('takes tapes before -- and the command after it', async () => {
    const cwd = tapes();
    const argv = [
      'verify',
      'a.tape.jsonl',
      'b.tape.jsonl',
      '--learn',
      '3',
      '--',
      process.execPath,
      'server.js',
      '--update',
    ];
    const { code, err, started } = await shadowcat(argv, { cwd });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(started[0]).toMatchObject({
      what: 'verify',
      config: {
        tapes: [join(cwd, 'a.tape.jsonl'), join(cwd, 'b.tape.jsonl')],
        target: { kind: 'command', command: process.execPath, args: ['server.js', '--update'] },
        level: 'json',
        learn: 3,
        update: false,
        allowEffects: false,
        progress: false,
      },
    });
  });

  it('takes a server with an address, overlays and reports', async () => {
    const cwd = tapes();
    const flags = ['--upstream', 'http://a/mcp', '--level', 'shape', '--allow-effects', '--overlay', 'o.overlay.yaml'];
    const { started } = await shadowcat(['verify', 'a.tape.jsonl', ...flags, '--report', 'junit=v.xml'], { cwd });
    expect(started[0]?.config).toMatchObject({
      target: { kind: 'url', url: 'http://a/mcp' },
      level: 'shape',
      allowEffects: true,
      overlays: [join(cwd, 'o.overlay.yaml')],
      reports: [{ format: 'junit', path: join(cwd, 'v.xml') }],
    });
  });

  it.each([
    [['--upstream', 'http://a/mcp'], 'verify needs a tape'],
    [['a.tape.jsonl'], 'no server to talk to'],
    [['c.tape.jsonl', '--upstream', 'http://a/mcp'], 'there is no tape c.tape.jsonl'],
    [['a.tape.jsonl', '--upstream', 'http://a/mcp', '--upstream', 'http://b/mcp'], 'one server'],
    [['a.tape.jsonl', '--upstream', 'http://a/mcp', '--learn', '2', '--update'], '--update'],
    [['a.tape.jsonl', '--upstream', 'http://a/mcp', '--overlay', 'none.yaml'], 'none.yaml'],
  ])('%j is wrong', async (argv, says) => {
    const { code, err, started } = await shadowcat(['verify', ...argv], { cwd: tapes() });
    expect({ code, started }).toEqual({ code: 2, started: [] });
    expect(err).toContain(says);
  });
});
