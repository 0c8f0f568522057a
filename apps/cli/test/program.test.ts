import { ProxyError } from '@shadowcat/kernel';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { CommandContext } from '../src/commands/context.js';
import { commandPath } from '../src/commands/define.js';
import { buildProgram } from '../src/program.js';
import { VERSION } from '../src/version.js';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const HOST = {} as ConstructorParameters<typeof CommandContext>[0];

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap((child) => everyCommand(child))];
}

const hidden = (command: Command): boolean => (command as unknown as { _hidden?: boolean })._hidden === true;
const commands = everyCommand(buildProgram(new CommandContext(HOST, []))).filter((command) => !hidden(command));
const words = (command: Command): string[] => commandPath(command).split(' ').slice(1);

describe.each(commands.map((command) => [commandPath(command), command] as const))('%s', (path, command) => {
  it('has help with an example, on stdout, with exit code 0', async () => {
    for (const help of ['--help', '-h']) {
      const { code, out, err } = await shadowcat([...words(command), help]);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(new RegExp(`^Usage: ${path}`));
      expect(out).toMatch(/\nExamples:\n {2}shadowcat .*\S\n$/s);
    }
  });

  it('names every option it has', async () => {
    const { out } = await shadowcat([...words(command), '--help']);
    for (const option of command.options.filter((candidate) => !candidate.hidden)) expect(out).toContain(option.flags);
  });
});

describe('usage', () => {
  it('is shown on stderr with exit code 2 when there is no command', async () => {
    for (const argv of [[], ['config'], ['tape']]) {
      const { code, out, err } = await shadowcat(argv);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toMatch(/^Usage: shadowcat/);
    }
  });

  it.each<[argv: string[], err: string]>([
    [['reverze'], "shadowcat: unknown command 'reverze' (did you mean reverse?)\n"],
    [['reverse', '--lisen', ':1'], "shadowcat: unknown option '--lisen' (did you mean --listen?)\n"],
    [
      ['reverse', '--listen'],
      "shadowcat: option '--listen <host:port>' argument missing; `shadowcat reverse --help` shows what it takes\n",
    ],
    [['replay', '--warm', '2'], "shadowcat: unknown option '--warm'; `shadowcat replay --help` shows what it takes\n"],
    [
      ['tape', 'export', 'a.tape.jsonl'],
      "shadowcat: required option '--format <format>' not specified; `shadowcat tape export --help` shows what it takes\n",
    ],
    [['xyz'], "shadowcat: unknown command 'xyz'; `shadowcat --help` shows what it takes\n"],
    [['config', 'shw'], "shadowcat: unknown command 'shw' (did you mean show?)\n"],
    [
      ['config', 'show', '--format', 'xml'],
      "shadowcat: option '--format <format>' argument 'xml' is invalid. Allowed choices are table, json, yaml.\n",
    ],
    [
      ['forward', '--help'],
      'shadowcat: this version does not have `shadowcat forward` yet; `shadowcat --help` lists what it has\n',
    ],
  ])('%j is wrong', async (argv, err) => {
    expect(await shadowcat(argv)).toEqual({ code: 2, out: '', err, started: [] });
  });

  it('does not list what this version does not have', async () => {
    const { out } = await shadowcat(['--help']);
    expect(out).not.toMatch(/forward/);
  });

  it('shows the version', async () => {
    for (const flag of ['--version', '-V'])
      expect(await shadowcat([flag])).toMatchObject({ code: 0, out: `${VERSION}\n` });
  });
});

describe('a run', () => {
  const argv = ['reverse', '--upstream', 'http://a/mcp'];

  it('gives the exit code that the stack gives', async () => {
    expect(await shadowcat(argv, { stack: async () => 0 })).toMatchObject({ code: 0 });
    const cwd = emptyDirectory({ 'a.tape.jsonl': '' });
    expect(await shadowcat(['replay', 'a.tape.jsonl'], { cwd, stack: async () => 4 })).toMatchObject({ code: 4 });
  });

  it('prints data on stdout and words on stderr', async () => {
    const { out, err } = await shadowcat([...argv, '--log-format', 'json'], {
      stack: async ({ io }) => {
        io.print('http://127.0.0.1:1/mcp');
        io.tell('a word');
        io.log.info({ port: 1 }, 'listening');
        return 0;
      },
    });
    expect(out).toBe('http://127.0.0.1:1/mcp\n');
    expect(err).toMatch(/^a word\n\{.*"msg":"listening"\}\n$/);
  });

  it.each<[error: Error, reverse: number, replay: number]>([
    [new ProxyError('internal', 'port 1 is in use', { data: { code: 'EADDRINUSE' } }), 1, 2],
    [new ProxyError('tape_invalid', 'a.tape.jsonl:3: cut off'), 1, 3],
    [new ProxyError('spawn_failed', 'cannot start the server "x"'), 1, 5],
    [new ProxyError('upstream_unreachable', 'connection refused'), 1, 5],
    [new Error('a bug'), 1, 4],
  ])('that fails with %s ends with a plain line and %d, or %d for replay', async (error, reverse, replay) => {
    const cwd = emptyDirectory({ 'a.tape.jsonl': '' });
    const stack = async (): Promise<number> => {
      throw error;
    };
    const one = await shadowcat(argv, { stack });
    expect(one.code).toBe(reverse);
    expect(one.err).toContain(error.message);
    expect(one.err).not.toContain('    at ');
    expect((await shadowcat(['replay', 'a.tape.jsonl'], { cwd, stack })).code).toBe(replay);
  });

  it('shows a stack trace with --log-level debug only', async () => {
    const stack = async (): Promise<number> => {
      throw new ProxyError('internal', 'broken', { cause: new Error('the reason') });
    };
    expect((await shadowcat(argv, { stack })).err).toBe('shadowcat: broken\n');
    for (const circumstances of [
      { argv: [...argv, '--log-level', 'debug'], env: {} },
      { argv, env: { SHADOWCAT_LOG_LEVEL: 'debug' } },
    ]) {
      const { err } = await shadowcat(circumstances.argv, { stack, env: circumstances.env });
      expect(err).toMatch(/broken\n.* {4}at .*caused by Error: the reason/s);
    }
  });
});
