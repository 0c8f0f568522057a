import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { optionalTargets } from '../config/effective.js';
import { CONFIG_FILE, loadConfig } from '../config/load.js';
import type { Settings } from '../config/settings.js';
import type { Finding } from '../doctor/findings.js';
import { CliError, EXIT } from '../errors.js';
import { specsOf } from '../options/table.js';
import { type CommandContext, configFlag } from './context.js';
import { describe } from './define.js';
import { addFlags } from './flags.js';

/** `shadowcat doctor`. */
export function addDoctor(program: Command, context: CommandContext): void {
  const command = program.command('doctor').argument('[command...]');
  describe(command, {
    summary: 'Check this machine: Node, configuration, address, paths, and whether a server answers',
    usage: '[options] [-- command args...]',
    configurable: true,
    examples: [
      'doctor',
      'doctor --upstream http://localhost:3000/mcp',
      'doctor -- npx -y @modelcontextprotocol/server-everything stdio',
    ],
  });
  addFlags(command, specsOf('doctor')).action(async () => {
    const settings = context.settings('doctor', command, { words: context.wordsAfterDashes(command) });
    for (const warning of context.warnings()) tell(context, { subject: 'environment', verdict: 'warn', text: warning });
    let failed = false;
    for await (const finding of examine(settings, context, configFlag(command))) {
      tell(context, finding);
      failed ||= finding.verdict === 'fail';
    }
    context.exitCode = failed ? EXIT.failure : EXIT.ok;
  });
}

function tell({ host }: CommandContext, { verdict, subject, text }: Finding): void {
  host.out(`${verdict.padEnd(4)}  ${subject.padEnd(11)}  ${text}\n`);
}

async function* examine(
  settings: Settings,
  { host }: CommandContext,
  config: string | undefined,
): AsyncGenerator<Finding> {
  // Late, as the stack: the transports are not needed for the other commands.
  const { directoryFinding, listenFinding, nodeFinding } = await import('../doctor/findings.js');
  yield nodeFinding(host.node);
  const file = loadConfig({ config, env: host.env, cwd: host.cwd });
  yield {
    subject: 'config',
    verdict: 'ok',
    text: file === undefined ? `no ${CONFIG_FILE} here: defaults` : `${file.name} is in order`,
  };
  yield await listenFinding(settings.get('listen'));
  const store = settings.get('store');
  if (store !== 'memory:') yield directoryFinding('store', resolve(host.cwd, dirname(store.slice('sqlite:'.length))));
  const record = settings.get('record');
  if (record !== undefined) {
    const path = resolve(host.cwd, record);
    yield directoryFinding('record', path.endsWith('.tape.jsonl') ? dirname(path) : path);
  }
  const targets = targetsOf(settings, host);
  if (targets === undefined) return;
  if ('verdict' in targets) {
    yield targets;
    return;
  }
  const { targetFinding } = await import('../doctor/target-finding.js');
  const headers = Object.fromEntries(settings.get('header').map(({ name, value }) => [name, value]));
  for (const target of targets) {
    const own = target.kind === 'url' ? target.headers : {};
    yield await targetFinding({
      target,
      headers: { ...headers, ...own },
      connectTimeoutMs: settings.get('connect-timeout'),
    });
  }
}

/** The servers to talk to, or why they cannot be. */
function targetsOf(settings: Settings, host: CommandContext['host']): ReturnType<typeof optionalTargets> | Finding {
  try {
    return optionalTargets(settings, host);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const subject = settings.get('command').length > 0 ? 'command' : 'upstream';
    return { subject, verdict: 'fail', text: error.message };
  }
}
