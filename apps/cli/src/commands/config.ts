import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { crossProblems } from '../config/effective.js';
import { type ConfigFile, readConfig } from '../config/file.js';
import { CONFIG_FILE, type ConfigText, loadText } from '../config/load.js';
import { migrateConfig } from '../config/migrate.js';
import { configSchemaText } from '../config/schema.js';
import { resolveSettings } from '../config/settings.js';
import { type ShowFormat, showSettings } from '../config/show.js';
import { configTemplate, schemaReference } from '../config/template.js';
import { CliError, problemsError } from '../errors.js';
import type { Host } from '../host.js';
import { SPECS } from '../options/table.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addFlags } from './flags.js';

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
  addMigrate(config, context);
}

function addCheck(config: Command, context: CommandContext): void {
  const command = describe(config.command('check'), {
    summary: 'Check a configuration file: names file, line, column and key of everything that is wrong',
    examples: ['config check', 'config check deploy/shadowcat.yaml'],
  });
  aboutFile(command, context, ({ name, text }, host) => {
    const loaded = readConfig(name, text);
    mustBeInOrder(loaded, host);
    host.err(`${name}: in order, ${loaded.entries.size + loaded.sections.size} keys\n`);
  });
}

/** Makes a command one about a file that must be there; `act` gets its text. */
function aboutFile(
  command: Command,
  { host }: CommandContext,
  act: (file: ConfigText, host: Host) => void | Promise<void>,
): void {
  command
    .argument('[file]', `default: ${CONFIG_FILE}`)
    .option('--config <file>', 'the same, as other commands have it')
    .action(async (file: string | undefined, options: { config?: string }) => {
      const found = loadText({ config: file ?? options.config, env: host.env, cwd: host.cwd });
      if (found !== undefined) return act(found, host);
      throw new CliError(`there is no ${CONFIG_FILE} here: \`shadowcat config init\` writes one to start from`);
    });
}

function mustBeInOrder(file: ConfigFile, host: Host): void {
  const { settings, problems } = resolveSettings(SPECS, { flags: new Map(), env: {}, file });
  const all = problems.length > 0 ? problems : crossProblems(settings, host);
  if (all.length > 0) throw problemsError(all);
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
  command.option('--force', 'replace a file that is there').action(async (file: string, options: { force?: true }) => {
    const { host } = context;
    const path = resolve(host.cwd, file);
    const text = configTemplate(schemaReference(file === '-' ? host.cwd : dirname(path)));
    if (file === '-') return host.out(text);
    if (existsSync(path) && options.force !== true) throw new CliError(`${file} is there already: --force replaces it`);
    await write(path, text, { mode: 0o666, failed: (why) => `${file} cannot be written (${why}): name another file` });
    host.err(`${file} written; \`shadowcat config check ${file}\` checks it after a change\n`);
  });
}

function addMigrate(config: Command, context: CommandContext): void {
  const command = describe(config.command('migrate'), {
    summary: 'Bring the keys of a configuration file to the spelling of this version, and change nothing else',
    examples: ['config migrate', 'config migrate deploy/shadowcat.yaml'],
  });
  aboutFile(command, context, async ({ name, path, text, exact }, host) => {
    if (!exact) throw new CliError(`${name}: not UTF-8 throughout: save it as UTF-8 first, nothing was changed`);
    const { text: migrated, keys } = migrateConfig(name, text);
    if (keys.length > 0) {
      const failed = (why: string): string =>
        `${name} cannot be written (${why}): make it and its folder writable, nothing was changed`;
      await write(path, migrated, { mode: statSync(path).mode & 0o777, failed });
    }
    for (const { where, from, to } of keys) host.err(`${where}: ${from} is ${to}\n`);
    mustBeInOrder(readConfig(name, migrated), host);
    const changed = keys.length === 1 ? '1 key' : `${keys.length} keys`;
    host.err(`${name}: in order, ${keys.length === 0 ? 'nothing to migrate' : `${changed} changed`}\n`);
  });
}

interface Written {
  readonly mode: number;
  /** What to say when it cannot be written. */
  readonly failed: (why: string) => string;
}

/** Writes a file whole or not at all, and the folders above it. */
async function write(path: string, text: string, { mode, failed }: Written): Promise<void> {
  const { makeDirectory, writeWhole } = await import('@shadowcat/tape-file');
  try {
    await makeDirectory(dirname(path));
    await writeWhole(path, [text], mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError(failed(String(code)), { cause: error });
  }
}
