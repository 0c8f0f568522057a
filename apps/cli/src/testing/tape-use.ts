import { relative } from 'node:path';
import type { MissReport } from '@shadowcat/tape';
import { MODE_VARIABLE } from '../config/environment.js';
import { CliError } from '../errors.js';
import { canRecord } from './options.js';
import { failureMessage, findingLines, missLines, TapeError, tapeErrorOf } from './tape-error.js';
import type { TapeSession, TapeSource, Verdict } from './tape-session.js';

/** Who is recording, or has recorded, which tape in this process: a second one would replace what the first has recorded. */
const RECORDING = new Map<string, TapeUse>();

/** Misses that cannot be laid at one test's door. */
interface Unclear {
  readonly misses: readonly MissReport[];
  /** The tests that ran meanwhile; none: it was in a hook. */
  readonly tests: readonly string[];
}

export interface TapeUseOptions {
  readonly source: TapeSource;
  /** Its stack says where the test asked for the tape. */
  readonly at: Error;
  /** Whoever records the tape; `undefined`: somebody who does as he likes once the tape is closed. */
  readonly owner: string | undefined;
  /** Whether the owner may record the tape once more, because it is a test that can be tried again. */
  readonly repeats: boolean;
}

/** One tape and the tests that share it: opened once, closed once, and what was missed told to the test that missed it. */
export class TapeUse {
  readonly #options: TapeUseOptions;
  #opening: Promise<TapeSession> | undefined;
  #session: TapeSession | undefined;
  /** How many misses were looked at. */
  #seen = 0;
  #missed = false;
  readonly #running = new Map<string, number>();
  /** Tests that ran at any time since misses were looked at. */
  #suspects = new Set<string>();
  readonly #unclear: Unclear[] = [];

  constructor(options: TapeUseOptions) {
    this.#options = options;
  }

  /** The session while it is open. */
  get session(): TapeSession | undefined {
    return this.#session;
  }

  /** Opens the tape; once, however often it is asked for. */
  open(): Promise<TapeSession> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** A test that may use the tape begins. */
  began(test: string): void {
    this.#lookOutside();
    this.#running.set(test, (this.#running.get(test) ?? 0) + 1);
    this.#suspects.add(test);
  }

  /** It has ended. Throws a {@link TapeError} for what only this test can have missed. */
  ended(test: string): void {
    const misses = this.#fresh();
    const [only, ...others] = this.#suspects;
    const left = (this.#running.get(test) ?? 1) - 1;
    if (left > 0) this.#running.set(test, left);
    else this.#running.delete(test);
    const tests = [...this.#suspects];
    this.#suspects = new Set(this.#running.keys());
    if (misses.length === 0) return;
    if (only === test && others.length === 0 && left === 0) throw this.#missError({ misses, tests: [] }, '');
    this.#unclear.push({ misses, tests });
  }

  /** Closes the tape. Throws a {@link TapeError} for what no test was told before. */
  async close(verdict: Verdict): Promise<void> {
    const session = await this.#opening?.catch(() => undefined);
    this.#opening = undefined;
    this.#session = undefined;
    if (session === undefined) return;
    const kept = verdict.complete && this.#options.owner !== undefined;
    if (!kept && RECORDING.get(session.path) === this) RECORDING.delete(session.path);
    const ending = session.end({ complete: verdict.complete && !this.#missed && session.misses().length === 0 });
    const found = await ending.catch((error: unknown) => {
      throw tapeErrorOf(error, this.#options.at);
    });
    const rest = session.misses().slice(this.#seen);
    const whole: Unclear[] = rest.length === 0 ? [] : [{ misses: rest, tests: [] }];
    const [unclear, ...more] = [...this.#unclear, ...whole];
    if (unclear !== undefined) throw this.#allMissed([unclear, ...more]);
    if (found.length === 0) return;
    const allUnused = found.every(({ rule }) => rule === 'unused' || rule === 'waiting');
    const advice = allUnused ? ['if not all of it has to be asked for: { allUsed: false }', ...this.#advice()] : [];
    const headline = `${this.#name} was not ${session.mode === 'record' ? 'written' : 'played to its end'}`;
    throw new TapeError(failureMessage({ headline, findings: found.map(findingLines), advice }), this.#options.at);
  }

  async #open(): Promise<TapeSession> {
    const { source } = this.#options;
    try {
      // Late, because a file of tests may have none that comes so far.
      const { openSession } = await import('./tape-session.js');
      const session = await openSession(source);
      if (session.mode === 'record') await this.#claim(session);
      this.#seen = 0;
      this.#session = session;
      return session;
    } catch (error) {
      throw tapeErrorOf(error, this.#options.at);
    }
  }

  async #claim(session: TapeSession): Promise<void> {
    const other = RECORDING.get(session.path);
    if (other === undefined || this.#repeats(other)) {
      RECORDING.set(session.path, this);
      return;
    }
    await session.end({ complete: false, told: true });
    const { owner = 'another openTape' } = other.#options;
    throw new CliError(
      `${this.#name} was recorded already, by ${owner}: one would overwrite what the other records\n` +
        'give each its own tape, or share one by calling useTape in their describe or file',
    );
  }

  #repeats(other: TapeUse): boolean {
    const { owner, repeats } = this.#options;
    return repeats && other.#options.owner === owner && other.session === undefined;
  }

  #fresh(): readonly MissReport[] {
    const misses = this.#session?.misses() ?? [];
    const fresh = misses.slice(this.#seen);
    this.#seen = misses.length;
    this.#missed ||= fresh.length > 0;
    return fresh;
  }

  /** What was missed while no test ran. */
  #lookOutside(): void {
    if (this.#suspects.size > 0) return;
    const misses = this.#fresh();
    if (misses.length > 0) this.#unclear.push({ misses, tests: [] });
  }

  #missError({ misses, tests }: Unclear, where: string): TapeError {
    const meanwhile = tests.length === 0 ? where : `, while these tests ran: ${tests.join(', ')}`;
    const what = misses.length === 1 ? '1 request was' : `${misses.length} requests were`;
    const findings = misses.map((miss) => missLines(miss, this.#options.source.place.cwd));
    const headline = `${what} not on the tape ${this.#name}${meanwhile}`;
    return new TapeError(failureMessage({ headline, findings, advice: this.#advice() }), this.#options.at);
  }

  #allMissed(unclear: readonly [Unclear, ...Unclear[]]): TapeError {
    const [first, ...others] = unclear.map((one) => this.#missError(one, ''));
    if (others.length === 0 && first !== undefined) return first;
    return new TapeError([first, ...others].map((error) => error?.message).join('\n'), this.#options.at);
  }

  #advice(): string[] {
    return canRecord(this.#options.source.options) ? [`to record the tape again: ${MODE_VARIABLE}=record`] : [];
  }

  get #name(): string {
    const { path, place } = this.#options.source;
    const below = relative(place.cwd, path);
    return below.startsWith('..') ? path : below;
  }
}
