import type { Command } from 'commander';
import { recordConfig, reverseConfig } from '../config/effective.js';
import type { Settings } from '../config/settings.js';
import { specsOf } from '../options/table.js';
import type { Io, ProxyConfig, ReverseConfig, Stack } from '../stack/contract.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addFlags } from './flags.js';

/** `shadowcat reverse`. */
export function addReverse(program: Command, context: CommandContext): void {
  const command = program.command('reverse').argument('[command...]');
  describe(command, {
    summary: 'A reverse proxy in front of one or more MCP servers',
    usage: '[options] [-- command args...]',
    configurable: true,
    examples: [
      'reverse --upstream http://localhost:3000/mcp',
      'reverse --record tapes/ -- npx -y @modelcontextprotocol/server-everything stdio',
      'reverse --listen 0.0.0.0:8787 --token-file token.txt --upstream http://localhost:3000/mcp',
    ],
  });
  addFlags(command, specsOf('reverse')).action(async () => {
    const read = (): Settings => context.settings('reverse', command, { words: context.wordsAfterDashes(command) });
    const settings = read();
    const config = reverseConfig(settings, context.host);
    const again = (): ReverseConfig => reverseConfig(read(), context.host);
    await context.serve(settings, (stack, io) => stack.runReverse(config, io), again);
  });
}

/** `shadowcat record`: reverse with recording on. */
export function addRecord(program: Command, context: CommandContext): void {
  const command = program.command('record').argument('[command...]');
  describe(command, {
    summary: 'Record what passes between MCP clients and a server',
    usage: '--out <path> [options] [-- command args...]',
    configurable: true,
    examples: [
      'record --out session.tape.jsonl --upstream http://localhost:3000/mcp',
      'record --stdio --out session.tape.jsonl -- npx -y @modelcontextprotocol/server-everything stdio',
    ],
  });
  addFlags(command, specsOf('record')).action(async () => {
    const read = (): Settings => context.settings('record', command, { words: context.wordsAfterDashes(command) });
    const settings = read();
    const record = recordConfig(settings, context.host);
    const again = (): ProxyConfig => recordConfig(read(), context.host).config;
    const run = (stack: Stack, io: Io): Promise<number> =>
      record.stdio ? stack.runRecordStdio(record.config, io) : stack.runReverse(record.config, io);
    await context.serve(settings, run, record.stdio ? undefined : again);
  });
}
