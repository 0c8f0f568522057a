import { basename } from 'node:path';
import type { EnvPair } from '../options/pair-types.js';
import type { UpstreamEntry } from '../sections/sections.js';
import type { Sited } from '../sections/shape.js';
import type { CommandTarget, Target, UrlTarget } from '../stack/contract.js';
import type { Build } from './build.js';
import { checkCommand, checkDirectory } from './checks.js';
import { readEnvFile } from './env-file.js';
import { placeOf } from './settings.js';

/** A command as it was given, on the command line or in the file. */
export interface GivenCommand {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string | undefined;
  readonly env: readonly EnvPair[];
  /** In the file; without it the command's own options say where they are. */
  readonly where?: string;
}

export const nameOfCommand = (command: string): string => basename(command);

/** A command that can be started. */
export function commandOf(build: Build, given: GivenCommand): CommandTarget {
  const { settings, place } = build;
  const { name, command, args, where } = given;
  const cwd =
    given.cwd === undefined
      ? place.cwd
      : build.checked(checkDirectory(given.cwd, place.cwd, where ?? settings.where('cwd')), place.cwd);
  const env = { ...fileVariables(build), ...variablesOf(build, given.env, where ?? settings.where('env')) };
  const found = checkCommand(command, { cwd, path: env['PATH'] ?? place.env['PATH'], platform: process.platform });
  if ('problem' in found) build.unstartable(`${commandPlace(build, where)}${found.problem}`);
  return { kind: 'command', name, command, args, cwd, env };
}

/** What stands before a message; nothing for a command after `--`, which a person has just typed. */
function commandPlace(build: Build, where: string | undefined): string {
  const { spec, origin } = build.settings.setting('command');
  const place = where ?? origin.where;
  return place === placeOf(spec) ? '' : `${place}${where === undefined ? ': command' : ''}: `;
}

function fileVariables(build: Build): Record<string, string> {
  const where = build.settings.where('env-file');
  const files = build.settings
    .get('env-file')
    .map((file) => build.checked(readEnvFile(file, build.place.cwd, where), []));
  return variablesOf(build, files.flat(), where);
}

function variablesOf(build: Build, pairs: readonly EnvPair[], where: string): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const { name, value } of pairs) {
    const passed = value ?? build.place.env[name];
    if (passed === undefined)
      build.problem(`${where}: ${name} is not set here, so it cannot be passed on: write ${name}=value`);
    else variables[name] = passed;
  }
  return variables;
}

/** A server of the section `upstreams`; `undefined` after a problem. */
export function namedTarget(build: Build, name: string, { value, where }: Sited<UpstreamEntry>): Target | undefined {
  const { url, command, weight, priority } = value;
  const common = { ...(weight === undefined ? {} : { weight }), ...(priority === undefined ? {} : { priority }) };
  if ((url === undefined) === (command === undefined)) {
    build.problem(`${where}: give it a url or a command, one of the two`);
    return undefined;
  }
  const misplaced = (url === undefined ? (['headers'] as const) : (['env', 'cwd', 'max-children'] as const)).filter(
    (key) => value[key] !== undefined,
  );
  for (const key of misplaced)
    build.problem(`${where}: ${key} is for ${url === undefined ? 'a url' : 'a command'}: leave it out`);
  if (url !== undefined) return { ...addressed(name, url, value.headers), ...common };
  const [word = '', ...args] = command ?? [];
  const { settings } = build;
  const cwd = value.cwd ?? settings.get('cwd');
  const env = [...settings.get('env'), ...(value.env ?? [])];
  const max = value['max-children'];
  const target = commandOf(build, { name, command: word, args, cwd, env, where });
  return { ...target, ...(max === undefined ? {} : { maxChildren: max }), ...common };
}

function addressed(name: string, url: UrlTarget, headers: UpstreamEntry['headers']): UrlTarget {
  if (headers === undefined) return { ...url, name };
  return { ...url, name, headers: Object.fromEntries(headers.map((pair) => [pair.name, pair.value])) };
}
