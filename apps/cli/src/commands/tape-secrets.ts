import { statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { type Log, ProxyError } from '@shadowcat/kernel';
import type { SecretFinding } from '@shadowcat/tape';
import type { TapeSecret } from '@shadowcat/tape-file';
import type { Command } from 'commander';
import { checkTape } from '../config/checks.js';
import { redactionOf } from '../config/redaction.js';
import type { Settings } from '../config/settings.js';
import { EXIT } from '../errors.js';
import { specsOf } from '../options/table.js';
import type { Finding } from '../reports/report.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addFlags } from './flags.js';
import { type Format, formatOption, json, tellElsewhere, usable } from './tape-common.js';

/** A secret, and the tape that it is on as the user called it. */
export interface FileSecret extends TapeSecret {
  readonly file: string;
}

/** `shadowcat tape scan`. */
export function addScan(tape: Command, context: CommandContext): void {
  const command = describe(tape.command('scan').argument('<tape...>', 'tapes, or directories of tapes'), {
    summary:
      'Look for secrets on tapes and in their blobs: says where and of what kind (exit code 6 when there are some, else 3 for a tape that is not whole)',
    usage: '<tape...> [options]',
    configurable: true,
    examples: ['tape scan test/*.tape.jsonl', 'tape scan tapes/ --redact-pattern "EMP-\\d{4}" --format json'],
  });
  addFlags(command.addOption(formatOption()), specsOf('scan')).action(async (names: string[], { format }: Format) => {
    const settings = beginScan(context, command);
    const { host } = context;
    const [{ beingWritten, scanTapeFile, tapesIn }, { runsStill }, { printable }] = await Promise.all([
      import('@shadowcat/tape-file'),
      import('@shadowcat/transport-stdio'),
      import('../tapes/render.js'),
    ]);
    const files = (await Promise.all(names.map((name) => tapesOf(name, host.cwd, tapesIn)))).flat();
    const found: FileSecret[] = [];
    let broken = 0;
    for (const file of files) {
      try {
        const secrets = await scanTapeFile(resolve(host.cwd, file), redactionOf(settings), {
          unsound: ({ line, message }) => {
            broken += 1;
            host.err(`shadowcat: ${printable(`${file}:${line}: ${message}`)}; what is missing was not looked at\n`);
          },
          growing: (owner) =>
            host.err(`${printable(beingWritten(file, owner))}: only what it holds by now was looked at\n`),
          runs: runsStill,
        });
        for (const secret of secrets) found.push({ file, ...secret });
      } catch (error) {
        if (!(error instanceof ProxyError) || error.code !== 'tape_invalid') throw error;
        broken += 1;
        host.err(`shadowcat: ${printable(error.message)}\n`);
      }
    }
    host.out(format === 'json' ? json(found) : found.map((secret) => `${printable(secretText(secret))}\n`).join(''));
    const headline = `${files.length} tapes: ${count(found.length, 'secret')}`;
    host.err(`${headline}\n`);
    if (found.length > 0) host.err('hide them with: shadowcat tape redact <tape>\n');
    context.exitCode = found.length > 0 ? EXIT.secretFound : broken > 0 ? EXIT.tapeInvalid : EXIT.ok;
    await tellElsewhere(context, { command: 'tape scan', headline, findings: found.map(findingOf) });
  });
}

/** `shadowcat tape redact`. */
export function addRedact(tape: Command, context: CommandContext): void {
  const command = describe(tape.command('redact').argument('<tape>', 'a finished tape'), {
    summary: 'Hide the secrets that are still on a tape, as recording does, and seal it again',
    usage: '<tape> [options]',
    configurable: true,
    examples: [
      'tape redact session.tape.jsonl',
      'tape redact session.tape.jsonl --redact-key employee-number -o clean.tape.jsonl',
    ],
  });
  command.option('-o, --out <file>', 'where to write it (default: in the place of the tape)');
  addFlags(command, specsOf('scan')).action(async (name: string, { out }: { out?: string }) => {
    const settings = beginScan(context, command);
    const { host } = context;
    const path = usable(checkTape(name, host.cwd));
    const { redactTapeFile } = await import('@shadowcat/tape-file');
    const { printable } = await import('../tapes/render.js');
    const made = await redactTapeFile(path, {
      rules: redactionOf(settings),
      key: await keyFor(path, context, context.log(settings)),
      ...(out === undefined ? {} : { out: resolve(host.cwd, out) }),
    });
    host.out(`${relative(host.cwd, made.out)}\n`);
    const kinds = made.hidden.length === 0 ? '' : ` (${kindsText(made.hidden)})`;
    host.err(`hid ${count(made.hidden.length, 'secret')}${printable(kinds)}\n`);
    for (const blob of made.left) host.err(`${blob} still holds one: another tape uses it, redact that one too\n`);
  });
}

/** What commands have that look for secrets: the rules come from the configuration. */
export function beginScan(context: CommandContext, command: Command): Settings {
  context.family = 'tape';
  return context.settings('scan', command);
}

async function tapesOf(name: string, cwd: string, tapesIn: (path: string) => Promise<string[]>): Promise<string[]> {
  const isDirectory = statSync(resolve(cwd, name), { throwIfNoEntry: false })?.isDirectory() === true;
  if (isDirectory) return (await tapesIn(resolve(cwd, name))).map((file) => join(name, file));
  usable(checkTape(name, cwd));
  return [name];
}

/** The key of the tape, or else the project's, which is made if there is none. */
async function keyFor(path: string, { host }: CommandContext, log: Log): ReturnType<KeyFile['loadTapeKey']> {
  const { findTapeKey, inspectTapeFile, loadTapeKey, TAPE_KEY_VARIABLE } = await import('@shadowcat/tape-file');
  const value = host.env[TAPE_KEY_VARIABLE];
  const made = (await inspectTapeFile(path)).head.redaction?.key;
  const ids = new Set(made === undefined ? [] : [made]);
  const found = await findTapeKey({ directories: [host.cwd, resolve(path, '..')], ids, value });
  const key = ids.has(found.id) ? found : await loadTapeKey({ directory: host.cwd, value });
  if (key.warning !== undefined) log.warn({}, key.warning);
  return key;
}

type KeyFile = typeof import('@shadowcat/tape-file');

export function secretText({ file, line, pointer, blob, ...why }: FileSecret): string {
  const where = blob === undefined ? pointer : `${blob}${pointer}`;
  return `${file}:${line}: ${where === '' ? '/' : where}: ${kindOf(why)}`;
}

function findingOf(secret: FileSecret): Finding {
  const { file, line } = secret;
  const message = `a secret: ${secretText(secret).slice(`${file}:${line}: `.length)}`;
  return { rule: secret.kind, level: 'error', message, site: { file, line }, remedy: `shadowcat tape redact ${file}` };
}

function kindOf({ kind, name }: Pick<SecretFinding, 'kind' | 'name'>): string {
  return name === undefined ? kind : `${kind} ${name}`;
}

/** `2 × key password, jwt`. */
function kindsText(hidden: readonly SecretFinding[]): string {
  const counts = new Map<string, number>();
  for (const finding of hidden) counts.set(kindOf(finding), (counts.get(kindOf(finding)) ?? 0) + 1);
  return [...counts].map(([kind, times]) => (times === 1 ? kind : `${times} × ${kind}`)).join(', ');
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
