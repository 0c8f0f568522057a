import type { CommandTarget, RecordStdioConfig, ReplayConfig, ReverseConfig, Targets } from '../stack/contract.js';
import { Build, type Place } from './build.js';
import { checkTape } from './checks.js';
import type { Settings } from './settings.js';
import type { Topology } from './topology.js';

/** The configuration of `reverse`. Throws one `CliError` that lists everything that does not fit together. */
export function reverseConfig(settings: Settings, place: Place): ReverseConfig {
  const build = new Build(settings, place);
  const given = settings.get('record');
  const recording = given === undefined ? undefined : build.recording(given, settings.where('record'));
  return build.done(() => ({ ...build.proxy(topologyFor(build, 'reverse'), recording), ...build.listening() }));
}

/** The configuration of `record`. */
export function recordConfig(
  settings: Settings,
  place: Place,
):
  | { readonly stdio: false; readonly config: ReverseConfig }
  | { readonly stdio: true; readonly config: RecordStdioConfig } {
  const build = new Build(settings, place);
  const given = settings.get('out');
  if (given === undefined) build.problem('record needs --out: a file ending in .tape.jsonl, or a directory');
  const recording = build.recording(given ?? '', settings.where('out'));
  const stdio = settings.get('stdio');
  return build.done(() => {
    const proxy = { ...build.proxy(topologyFor(build, 'record --out session.tape.jsonl'), recording), recording };
    return stdio ? { stdio, config: proxy } : { stdio, config: { ...proxy, ...build.listening() } };
  });
}

/** The configuration of `replay`. */
export function replayConfig(settings: Settings, place: Place): ReplayConfig {
  const build = new Build(settings, place);
  const names = settings.get('tape');
  if (names.length === 0) build.problem('replay needs a tape: shadowcat replay session.tape.jsonl');
  return build.done(() => {
    const { listen, path, access } = build.listening();
    return {
      listen: settings.get('stdio') ? undefined : listen,
      path,
      access,
      tapes: names.map((name) => build.checked(checkTape(name, place.cwd), '')),
      allUsed: settings.get('all-used'),
      limits: build.limits(),
      keepAliveMs: settings.get('keep-alive'),
      drainMs: settings.get('drain-timeout'),
    };
  });
}

/** The server to talk to; `undefined` when none is configured. Used by `doctor`, which can do without. */
export function optionalTargets(settings: Settings, place: Place): Targets | undefined {
  const build = new Build(settings, place);
  return build.done(() => build.topology())?.targets;
}

/** What is wrong with the settings, a server to talk to apart. For `config check`. */
export function crossProblems(settings: Settings, place: Place): readonly string[] {
  const build = new Build(settings, place);
  build.topology();
  for (const name of ['record', 'out'] as const) {
    const given = settings.get(name);
    if (given !== undefined) build.recording(given, settings.where(name));
  }
  build.listening();
  build.interceptors();
  return build.problems;
}

function topologyFor(build: Build, command: string): Topology {
  const topology = build.topology();
  if (topology !== undefined) return topology;
  if (build.problems.length === 0) {
    build.problem(
      'no server to talk to: give --upstream <url>, or a command after --\n' +
        `for example: shadowcat ${command} --upstream http://localhost:3000/mcp`,
    );
  }
  // Never used: the problem is thrown before the configuration leaves.
  const nothing: CommandTarget = { kind: 'command', name: '', command: '', args: [], cwd: build.place.cwd, env: {} };
  const group = { name: '', members: [], balance: 'round-robin', hashOn: 'credential', slowStartMs: 0 } as const;
  return { targets: [nothing], groups: [group], routes: [] };
}
