import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import type {
  CommandTarget,
  RecordStdioConfig,
  ReplayConfig,
  ReverseConfig,
  Targets,
  VerifyConfig,
} from '../stack/contract.js';
import { Build, type Place } from './build.js';
import { checkOverlay, checkTape } from './checks.js';
import { redactionOf } from './redaction.js';
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
  if (settings.get('dry-run') && settings.get('overlay').length === 0) {
    build.problem('--dry-run is about an overlay: give --overlay <file>');
  }
  return build.done(() => {
    const { listen, path, access } = build.listening();
    return {
      listen: settings.get('stdio') ? undefined : listen,
      path,
      access,
      tapes: names.map((name) => build.checked(checkTape(name, place.cwd), '')),
      allUsed: settings.get('all-used'),
      overlays: overlayPaths(build),
      dryRun: settings.get('dry-run'),
      time: settings.get('time'),
      maxRung: settings.get('max-rung'),
      ...(settings.get('give-up-after') === 0 ? {} : { giveUpMs: settings.get('give-up-after') }),
      reports: settings.get('report').map(({ format, file }) => ({ format, path: resolve(place.cwd, file) })),
      redaction: redactionOf(settings),
      limits: build.limits(),
      keepAliveMs: settings.get('keep-alive'),
      drainMs: settings.get('drain-timeout'),
    };
  });
}

/** The configuration of `verify`. `progress`: whether there is a person to tell how far it is. */
export function verifyConfig(settings: Settings, place: Place, progress: boolean): VerifyConfig {
  const build = new Build(settings, place);
  const names = settings.get('tape');
  if (names.length === 0) build.problem('verify needs a tape: shadowcat verify session.tape.jsonl --upstream <url>');
  const { targets } = topologyFor(build, 'verify session.tape.jsonl');
  const [target, ...others] = targets;
  if (others.length > 0) build.problem('verify talks to one server: give one --upstream, or a command after --');
  const make = (): VerifyConfig => ({
    tapes: names.map((name) => build.checked(checkTape(name, place.cwd), '')),
    target,
    upstream: {
      headers: Object.fromEntries(settings.get('header').map(({ name, value }) => [name, value])),
      connectTimeoutMs: settings.get('connect-timeout'),
      answerMs: settings.get('first-byte-timeout') || NO_LIMIT_MS,
    },
    maxLine: settings.get('max-line'),
    level: settings.get('level'),
    learn: settings.get('learn'),
    update: settings.get('update'),
    allowEffects: settings.get('allow-effects'),
    overlays: overlayPaths(build),
    reports: settings.get('report').map(({ format, file }) => ({ format, path: resolve(place.cwd, file) })),
    redaction: redactionOf(settings),
    progress,
  });
  return build.done(make, { spawnFailed: EXIT.targetFailed });
}

/** Absolute paths of the overlays, which are read later: most commands do without what reads them. */
function overlayPaths(build: Build): readonly string[] {
  const { settings, place } = build;
  const where = settings.where('overlay');
  return settings.get('overlay').map((name) => build.checked(checkOverlay(name, place.cwd, where), ''));
}

/** A day: nobody waits longer for an answer. */
const NO_LIMIT_MS = 86_400_000;

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
  return { targets: [nothing], groups: [group], routes: [], mirror: undefined };
}
