import { existsSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { crossProblems } from '../config/effective.js';
import { CONFIG_FILE, loadConfig } from '../config/load.js';
import { configSchemaText } from '../config/schema.js';
import { resolveSettings } from '../config/settings.js';
import { type ShowFormat, showSettings } from '../config/show.js';
import { configTemplate, schemaReference } from '../config/template.js';
import { CliError, problemsError } from '../errors.js';
import { SPECS } from '../options/table.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addFlags } from './flags.js';
import { addLater } from './later.js';

/** `shadowcat config …`. */
export function addConfig(program: Command, context: CommandContext): void {
  const config = describe(program.command('config'), {
    summary: 'Check, show and write the configuration',
    examples: ['config init', 'config check', 'config show --session-idle 1h'],
  });
  config.helpCommand(false);
  addCheck(config, context);
  addShow(config, context);
  addSchema(config, context);
  addInit(config, context);
  addLater(config);
}

function addCheck(config: Command, context: CommandContext): void {
  const command = describe(config.command('check').argument('[file]', `default: ${CONFIG_FILE}`), {
    summary: 'Check a configuration file: names file, line, column and key of everything that is wrong',
    examples: ['config check', 'config check deploy/shadowcat.yaml'],
  });
  command
    .option('--config <file>', 'the same, as other commands have it')
    .action((file: string | undefined, options: { config?: string }) => {
      const { host } = context;
      const loaded = loadConfig({ config: file ?? options.config, env: host.env, cwd: host.cwd });
      if (loaded === undefined) {
        throw new CliError(`there is no ${CONFIG_FILE} here: \`shadowcat config init\` writes one to start from`);
      }
      const { settings, problems } = resolveSettings(SPECS, { flags: new Map(), env: {}, file: loaded });
      const all = problems.length > 0 ? problems : crossProblems(settings, host);
      if (all.length > 0) throw problemsError(all);
      host.err(`${loaded.name}: in order, ${loaded.entries.size + loaded.sections.size} keys\n`);
    });
}

function addShow(config: Command, context: CommandContext): void {
  const command = describe(config.command('show').argument('[command...]'), {
    summary: 'Show the effective value of each option and where it came from; secrets are masked',
    usage: '[options of any command] [-- command args...]',
    examples: ['config show', 'config show --format yaml', 'config show --listen :9000 -- node server.js'],
  });
  const format = new Option('--format <format>', 'how to show it').choices(['table', 'json', 'yaml']).default('table');
  command.addOption(format);
  addFlags(command, SPECS).action((_words: string[], options: { format: ShowFormat }) => {
    const settings = context.settings('all', command, { words: context.wordsAfterDashes(command) });
    for (const warning of context.warnings()) context.host.err(`shadowcat: ${warning}\n`);
    context.host.out(showSettings(settings, options.format));
  });
}

function addSchema(config: Command, context: CommandContext): void {
  const command = describe(config.command('schema'), {
    summary: 'Print the JSON Schema of the configuration file',
    examples: ['config schema > shadowcat.schema.json'],
  });
  command.action(() => context.host.out(configSchemaText()));
}

function addInit(config: Command, context: CommandContext): void {
  const command = describe(config.command('init').argument('[file]', 'where to write it; - is stdout', CONFIG_FILE), {
    summary: 'Write a configuration file with every option, its default and what it does, as comments',
    examples: ['config init', 'config init deploy/shadowcat.yaml', 'config init -'],
  });
  command.option('--force', 'replace a file that is there').action((file: string, options: { force?: true }) => {
    const { host } = context;
    const path = resolve(host.cwd, file);
    const text = configTemplate(schemaReference(file === '-' ? host.cwd : dirname(path)));
    if (file === '-') return host.out(text);
    if (existsSync(path) && options.force !== true) throw new CliError(`${file} is there already: --force replaces it`);
    writeFileSync(path, text);
    host.err(`${file} written; \`shadowcat config check ${file}\` checks it after a change\n`);
  });
}
