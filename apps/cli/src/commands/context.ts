import type { Log } from '@shadowcat/kernel';
import type { Command } from 'commander';
import { misspeltVariables } from '../config/environment.js';
import { loadConfig } from '../config/load.js';
import { resolveSettings, type Settings } from '../config/settings.js';
import { CliError, problemsError } from '../errors.js';
import type { ExitFamily } from '../failure.js';
import type { Host } from '../host.js';
import { createLog } from '../log.js';
import { type CommandName, flagOf } from '../options/option.js';
import { SPECS, specsOf } from '../options/table.js';
import type { Io, ProxyConfig, Stack } from '../stack/contract.js';
import { commandPath } from './define.js';
import { type Operands, readFlags } from './flags.js';
import { reloadWeights } from './reload-weights.js';

/** What all commands of one run share. */
export class CommandContext {
  readonly host: Host;
  /** The words after the program's name, as they were typed. */
  readonly argv: readonly string[];
  exitCode = 0;
  /** Which exit codes apply when the command fails. */
  family: ExitFamily = 'other';
  /** Whether errors are told with their stack. */
  debug = false;

  constructor(host: Host, argv: readonly string[]) {
    this.host = host;
    this.argv = argv;
  }

  /** The effective options of a command. Throws a `CliError` that lists everything that is wrong with them. */
  settings(name: CommandName | 'all', command: Command, operands: Operands = {}): Settings {
    const { env, cwd } = this.host;
    const specs = specsOf(name);
    const flags = readFlags(command, specs, operands);
    this.debug = command.opts()['logLevel'] === 'debug' || env['SHADOWCAT_LOG_LEVEL'] === 'debug';
    // What is wrong with a configuration is no reason not to look at a file.
    const looks = name === 'tape' || (name === 'shadow' && operands.arguments !== undefined);
    const file = looks ? undefined : loadConfig({ config: configFlag(command), env, cwd });
    const { settings, problems } = resolveSettings(specs, { flags, env, file });
    if (problems.length > 0) throw problemsError(problems);
    this.debug = settings.get('log-level') === 'debug';
    return settings;
  }

  log(settings: Settings): Log {
    const { host } = this;
    return createLog({
      level: settings.get('log-level'),
      format: settings.get('log-format'),
      terminal: host.terminal,
      colour: host.terminal && (host.env['NO_COLOR'] ?? '') === '',
      write: (text) => host.err(text),
    });
  }

  /** Variables that are probably misspelt, one line each. */
  warnings(): string[] {
    return misspeltVariables(this.host.env, SPECS);
  }

  /** Runs what lasts until it is told to stop, and takes its exit code. */
  async serve(
    settings: Settings,
    run: (stack: Stack, io: Io) => Promise<number>,
    read?: () => Pick<ProxyConfig, 'targets'>,
  ): Promise<void> {
    const { host } = this;
    const log = this.log(settings);
    for (const warning of this.warnings()) log.warn({}, warning);
    // Only what the file says can be another one the next time it is read.
    const reloads = settings.section('upstreams') === undefined ? undefined : read;
    const weights = reloads === undefined ? undefined : reloadWeights(reloads, log);
    using stopping = host.stopping({
      drainMs: settings.get('drain-timeout'),
      log,
      ...(weights === undefined ? {} : { reload: weights.reload }),
    });
    const stack = await host.stack();
    const { env, cwd } = host;
    this.exitCode = await run(stack, {
      print: (line) => host.out(`${line}\n`),
      tell: (text) => host.err(text.endsWith('\n') ? text : `${text}\n`),
      ...(host.terminal ? { draw: (text: string) => host.err(text) } : {}),
      log,
      stop: stopping.signal,
      ...(weights === undefined ? {} : { onWeights: weights.onWeights }),
      env,
      cwd,
    });
  }

  /** The arguments before `--`, and the words after it. */
  operands(command: Command): { readonly arguments: readonly string[]; readonly words: readonly string[] } {
    const dashes = this.argv.indexOf('--');
    const words = dashes < 0 ? [] : this.argv.slice(dashes + 1);
    return { arguments: command.args.slice(0, command.args.length - words.length), words };
  }

  /**
   * The words after `--`. Throws when there are others: a command before `--` would have its own options taken for ours.
   */
  wordsAfterDashes(command: Command): readonly string[] {
    const { arguments: stray, words } = this.operands(command);
    if (stray.length === 0) return words;
    throw new CliError(
      `unexpected "${stray[0]}": a command goes after --, as in\n  ${commandPath(command)} -- ${[...stray, ...words].join(' ')}`,
    );
  }
}

export function configFlag(command: Command): string | undefined {
  const given: unknown = command.opts()['config'];
  if (given === undefined) return undefined;
  if (typeof given !== 'string' || given === '') throw new CliError(`${flagOf('config')}: name a file`);
  return given;
}
