import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { ImportFormat } from '@shadowcat/tape';
import { type Command, Option } from 'commander';
import { redactionOf } from '../config/redaction.js';
import { CliError } from '../errors.js';
import { specsOf } from '../options/table.js';
import { VERSION } from '../version.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addFlags } from './flags.js';
import { madeText, notThere, writable } from './tape-common.js';

const FORMATS: readonly ImportFormat[] = ['har', 'mitmproxy', 'stdio-log'];
const TAPE_SUFFIX = '.tape.jsonl';

interface ImportFlags {
  readonly from?: ImportFormat;
  readonly url?: string;
  readonly capture?: boolean;
  readonly times?: boolean;
  readonly out?: string;
}

/** `shadowcat tape import`. */
export function addImport(tape: Command, context: CommandContext): void {
  const command = describe(
    tape
      .command('import')
      .argument(
        '<file...>',
        'a file, or - for stdin; of a stdio server also two: what the client wrote, what the server wrote',
      ),
    {
      summary: 'Make a golden tape of what another tool recorded, redacted as a recording is, and say what it lacks',
      usage: '<file...> [options]',
      configurable: true,
      examples: [
        'tape import session.har',
        'tape import flows --url https://api.example.com/mcp -o session.tape.jsonl',
        'tape import ~/Library/Logs/Claude/mcp-server-files.log -o files.tape.jsonl',
        'tape import stdin.jsonl stdout.jsonl -o files.tape.jsonl',
      ],
    },
  );
  command
    .addOption(
      new Option(
        '--from <format>',
        'HTTP Archive 1.2, flows of mitmproxy, a log of stdio (default: told from the file)',
      ).choices(FORMATS),
    )
    .option('--url <url>', 'the MCP endpoint that is meant, when there are several')
    .option('--times', 'keep when each record happened')
    .option('--capture', 'write the capture form: with times, and with the text beside the messages')
    .option('-o, --out <file>', `where to write it (default: the file's name with ${TAPE_SUFFIX})`);
  addFlags(command, specsOf('scan')).action(async (names: string[], flags: ImportFlags) => {
    context.family = 'tape';
    const settings = context.settings('scan', command);
    const { host } = context;
    if (names.length > 2)
      throw new CliError(`tape import: ${names.length} files are too many: name one, or two of a stdio server`);
    const { importFile, loadTapeKey, STDIN_NAME, TAPE_KEY_VARIABLE } = await import('@shadowcat/tape-file');
    const paths = names.map((name) => (name === STDIN_NAME ? name : resolve(host.cwd, name)));
    const missing = names.find((name, index) => name !== STDIN_NAME && !existsSync(paths[index] ?? ''));
    if (missing !== undefined) throw new CliError(`there is no file ${missing}`);
    if (flags.out === undefined && names.includes(STDIN_NAME))
      throw new CliError('say with -o what the tape of stdin is called');
    const out = flags.out === undefined ? besideOf(names[0] ?? '', host.cwd) : writable(flags.out, host.cwd, paths);
    const key = await loadTapeKey({ directory: host.cwd, value: host.env[TAPE_KEY_VARIABLE] });
    if (key.warning !== undefined) context.log(settings).warn({}, key.warning);
    const made = await importFile(paths, {
      from: flags.from,
      url: flags.url,
      out,
      rules: redactionOf(settings),
      key,
      by: `shadowcat ${VERSION}`,
      form: flags.capture === true ? 'capture' : 'golden',
      times: flags.times === true,
    });
    const { printable } = await import('../tapes/render.js');
    host.out(`${relative(host.cwd, out)}\n`);
    host.err(
      `${made.messages} ${made.messages === 1 ? 'message' : 'messages'} of a ${TITLES[made.format]}, ${madeText(made)}\n`,
    );
    for (const loss of made.losses) host.err(`${printable(loss)}\n`);
  });
}

const TITLES: Readonly<Record<ImportFormat, string>> = {
  har: 'HAR',
  mitmproxy: 'mitmproxy dump',
  'stdio-log': 'stdio log',
};

function besideOf(name: string, cwd: string): string {
  const stem = name.replace(/\.(har|zhar|log|jsonl?|flows?|mitm|txt)(\.gz)?$/i, '');
  return notThere(resolve(cwd, `${stem}${TAPE_SUFFIX}`), cwd);
}
