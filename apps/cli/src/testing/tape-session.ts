import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { type Log, silentLog } from '@shadowcat/kernel';
import type { MissReport, ReplaySummary, Tape } from '@shadowcat/tape';
import { formatTapeFile, makeDirectory, readTapeFile, TAPE_SUFFIX } from '@shadowcat/tape-file';
import { MODE_VARIABLE } from '../config/environment.js';
import { CliError } from '../errors.js';
import { readOverlays } from '../overlay/read-overlay.js';
import type { Finding } from '../reports/report.js';
import type { Io } from '../stack/contract.js';
import { openReplay } from '../stack/open-replay.js';
import { Owned } from '../stack/owned.js';
import { openProxy } from '../stack/proxy.js';
import { replayReport } from '../stack/replay-report.js';
import { systemClock } from '../stack/system.js';
import { type Endpoint, openEndpoint } from './endpoint.js';
import { type TapeMode, tapeMode } from './mode.js';
import { canRecord, type TapeOptions, type Upstream } from './options.js';
import { proxySettings, replaySettings, type TestPlace } from './settings.js';

/** How the tests went that shared a tape. */
export interface Verdict {
  /** All of them ran and passed: only then what nobody asked for is missing, and only then a recording is one to keep. */
  readonly complete: boolean;
  /** Whether somebody else says why there is no recording. Default false. */
  readonly told?: boolean;
}

/** A tape that is being replayed or recorded, or the server itself, for one test or for those that share it. */
export interface TapeSession extends Endpoint {
  /** What really happens: `once` is one of the first two. */
  readonly mode: Exclude<TapeMode, 'once'>;
  /** Absolute. */
  readonly path: string;
  /** Requests that were not on the tape, so far. */
  misses(): readonly MissReport[];
  /**
   * Closes everything, clients' lines included, and writes what was recorded. Resolves with what the end has brought to light, misses
   * apart. A second call returns the first one's result.
   */
  end(verdict: Verdict): Promise<readonly Finding[]>;
}

/** What is opened: absolute paths. */
export interface TapeSource {
  readonly path: string;
  /** As it was given, for messages. */
  readonly name: string;
  readonly options: TapeOptions;
  readonly place: TestPlace;
}

/** Opens a tape as `SHADOWCAT_MODE` says. Rejects with one or two plain lines that say what to do. */
export async function openSession(source: TapeSource): Promise<TapeSession> {
  const { path, place, options } = source;
  const wanted = options.replayOnly === true ? 'replay' : tapeMode(place.env);
  const exists = existsSync(path);
  const mode = wanted === 'once' ? (exists ? 'replay' : 'record') : wanted;
  if (mode === 'replay') {
    if (!exists) throw new CliError(missingTape(source));
    return openReplaying(source);
  }
  const { upstream } = options;
  if (upstream === undefined) {
    throw new CliError(
      `${MODE_VARIABLE}=${wanted}: ${nameOf(source)} has no server: give it one, as in\n` +
        `useTape('${source.name}', { upstream: { command: 'npx', args: ['-y', 'my-server'] } })`,
    );
  }
  return mode === 'live' ? openLive(source, upstream) : openRecording(source, upstream);
}

function missingTape(source: TapeSource): string {
  const { upstream, replayOnly } = source.options;
  const there = `there is no tape ${nameOf(source)}`;
  if (replayOnly === true) return `${there}\nthis test only replays it (replayOnly): first run the one that records it`;
  const how = upstream === undefined ? 'give it an upstream and run the test' : 'run the test';
  return `${there}\nto record it, ${how} with ${MODE_VARIABLE}=record; then commit it`;
}

async function openReplaying(source: TapeSource): Promise<TapeSession> {
  const { path, place, options } = source;
  const config = replaySettings(path, options, place);
  const { listen } = config;
  if (listen === undefined) throw new TypeError('a test listens');
  const overlay = await readOverlays(config.overlays, place.cwd);
  const tapes = [await readTape(source)];
  const io = testIo(place, silentLog);
  const owned = new Owned(io.log);
  const components = { io, clock: systemClock, log: io.log, owned };
  return opened(owned, async () => {
    const { replay, ...stack } = await openReplay(config, { tapes, overlay }, components);
    const endpoint = await openEndpoint({ ...config, listen }, { ...components, ...stack, innermost: replay });
    return {
      ...endpoint,
      mode: 'replay',
      path,
      misses: () => replay.summary().misses,
      end: once(async ({ complete }) => {
        // What is left waits for a client that is gone.
        replay.close();
        await owned.close();
        return atTheEnd(replay.summary(), source, complete);
      }),
    };
  });
}

async function readTape({ path, options }: TapeSource): Promise<Tape> {
  try {
    return await readTapeFile(path);
  } catch (error) {
    if (!(error instanceof Error) || !canRecord(options)) throw error;
    throw new CliError(`${error.message}\nto record it again: ${MODE_VARIABLE}=record`, { cause: error });
  }
}

/**
 * What is wrong with a replay that is over, misses apart. What it still waited for is also told of a test that failed: it may be
 * why.
 */
function atTheEnd(summary: ReplaySummary, { options, place }: TapeSource, complete: boolean): readonly Finding[] {
  const { served, misses, faults } = summary;
  const nobodyCame = served === 0 && misses.length === 0 && faults === 0;
  const counts = (rule: string): boolean => {
    if (rule === 'waiting') return nobodyCame ? complete && options.allUsed !== false : true;
    return complete && !rule.startsWith('miss/');
  };
  return replayReport(summary, place.cwd).findings.filter(({ rule, level }) => level === 'error' && counts(rule));
}

async function openLive(source: TapeSource, upstream: Upstream): Promise<TapeSession> {
  const { path, place } = source;
  const owned = new Owned(stderrLog);
  return opened(owned, async () => {
    const endpoint = await openServer(proxySettings(upstream, undefined, place), place, owned);
    const end = async (): Promise<readonly Finding[]> => {
      await owned.close();
      return [];
    };
    return { ...endpoint, mode: 'live', path, misses: () => [], end: once(end) };
  });
}

/** The recording is made in a directory of its own, and takes the tape's place when it is whole. */
async function openRecording(source: TapeSource, upstream: Upstream): Promise<TapeSession> {
  const { path, place } = source;
  if (!path.endsWith(TAPE_SUFFIX)) throw new CliError(`${nameOf(source)}: the name of a tape ends in ${TAPE_SUFFIX}`);
  const folder = await mkdtemp(join(tmpdir(), 'shadowcat-'));
  const capture = join(folder, `capture${TAPE_SUFFIX}`);
  const owned = new Owned(stderrLog);
  owned.add('the directory of the recording', () => rm(folder, { recursive: true, force: true }));
  return opened(owned, async () => {
    const running = new Owned(stderrLog);
    owned.add('the recording', () => running.close());
    const endpoint = await openServer(proxySettings(upstream, capture, place), place, running);
    const end = async ({ complete, told }: Verdict): Promise<readonly Finding[]> => {
      await running.close();
      try {
        if (complete) return await keep(capture, source);
        if (told !== true) tellLeft(source);
        return [];
      } finally {
        await owned.close();
      }
    };
    return { ...endpoint, mode: 'record', path, misses: () => [], end: once(end) };
  });
}

async function keep(capture: string, source: TapeSource): Promise<readonly Finding[]> {
  const { records } = await readTapeFile(capture);
  if (!records.some(({ k }) => k === 'msg')) {
    const message = `${nameOf(source)}: nothing was recorded, because no client came`;
    return [{ rule: 'record/nothing', level: 'error', message, site: undefined }];
  }
  await makeDirectory(dirname(source.path));
  await formatTapeFile(capture, { out: source.path });
  return [];
}

function tellLeft(source: TapeSource): void {
  stderrLog.warn({}, `${nameOf(source)} was not written: not every test that records it ran and passed`);
}

async function openServer(config: ReturnType<typeof proxySettings>, place: TestPlace, owned: Owned): Promise<Endpoint> {
  const io = testIo(place, stderrLog);
  const components = { io, clock: systemClock, log: io.log, owned };
  const { parts, upstream, admin } = await openProxy(config, components);
  return openEndpoint(config, { ...components, parts, innermost: upstream, admin });
}

/** Closes what was opened before something went wrong. */
async function opened(owned: Owned, open: () => Promise<TapeSession>): Promise<TapeSession> {
  try {
    return await open();
  } catch (error) {
    await owned.close();
    throw error;
  }
}

function once<A, R>(run: (argument: A) => Promise<R>): (argument: A) => Promise<R> {
  let running: Promise<R> | undefined;
  return (argument) => {
    running ??= run(argument);
    return running;
  };
}

function nameOf({ path, place }: TapeSource): string {
  const below = relative(place.cwd, path);
  return below.startsWith('..') ? path : below;
}

function testIo({ env, cwd }: TestPlace, log: Log): Io {
  const ignore = (): void => {};
  return { print: ignore, tell: ignore, log, stop: new AbortController().signal, env, cwd };
}

const say = (_details: object, message: string): void => void process.stderr.write(`shadowcat: ${message}\n`);
/** For runs with a real server: what a person has to know. */
const stderrLog: Log = { ...silentLog, warn: say, error: say };
