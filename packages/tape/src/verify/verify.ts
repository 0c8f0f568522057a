import type { Clock } from '@shadowcat/kernel';
import { isLeftOut, type Overlay } from '../overlay.js';
import type { Tape } from '../records.js';
import type { Redactor } from '../redact.js';
import type { Level } from './compare.js';
import { type Flow, flowsOf } from './flows.js';
import { type ExchangeResult, type ExchangeStatus, judgeClient } from './judge.js';
import { LiveValues } from './live-values.js';
import { Patience } from './patience.js';
import { type ClientPlan, plansOf } from './plan.js';
import { type ClientPlay, type PlayClientParts, playClient } from './play-client.js';
import type { Connect } from './server-line.js';

export interface VerifyOptions {
  readonly overlay: Overlay;
  readonly level: Level;
  readonly allowEffects: boolean;
  /** How long an answer may take; less when several did not come. Milliseconds. */
  readonly answerMs: number;
}

export interface VerifyComponents {
  /** Opens a line to the server, for each recorded client a new one. */
  readonly connect: Connect;
  readonly redactor: Redactor;
  readonly clock: Clock;
  /** Aborted: play no further. */
  readonly stop: AbortSignal;
  /** Told in the beginning and after each request how many there were. */
  readonly progress?: (done: number, total: number) => void;
}

/** What one run found. */
export interface Verification {
  readonly results: readonly ExchangeResult[];
  /** What the server minted anew. */
  readonly captured: readonly { readonly flow: Flow; readonly live: string }[];
}

/** Plays the recorded clients one after the other, and compares. Rejects when the server cannot be reached or started. */
export async function verifyTapes(
  tapes: readonly Tape[],
  options: VerifyOptions,
  components: VerifyComponents,
): Promise<Verification> {
  const plans = plansOf(tapes);
  const total = plans.reduce((sum, { recordings }) => sum + recordings.length, 0);
  let done = 0;
  components.progress?.(done, total);
  const progress = (): void => {
    done += 1;
    components.progress?.(done, total);
  };
  const plays: ClientPlay[] = [];
  const patience = new Patience(options.answerMs);
  for (const plan of plans) plays.push(await played(plan, options, { ...components, progress, patience }));
  const { level, overlay } = options;
  const { redactor } = components;
  return {
    results: plays.flatMap((play) => judgeClient(play, { level, overlay, redactor })),
    captured: plays.flatMap(({ values }) => values.captured),
  };
}

function played(
  plan: ClientPlan,
  { overlay, level, allowEffects }: VerifyOptions,
  { redactor: _, ...parts }: Omit<VerifyComponents, 'progress'> & Pick<PlayClientParts, 'patience' | 'progress'>,
): Promise<ClientPlay> {
  const values = new LiveValues(flowsOf(plan.recordings, overlay.bind));
  const wantsSchemas = level === 'contract';
  // Nobody waits for what is not compared.
  const heard = plan.heard.filter(({ method }) => level !== 'contract' && !isLeftOut(overlay, method));
  return playClient({ ...plan, heard }, { ...parts, values, allowEffects, wantsSchemas });
}

/** The values that a tape's clients got from answers and used: what `verify` looks for by itself. */
export function flowsOfTapes(tapes: readonly Tape[]): readonly Flow[] {
  return plansOf(tapes).flatMap(({ recordings }) => flowsOf(recordings));
}

/** How many exchanges there are of each status. */
export function countStatuses(results: readonly ExchangeResult[]): Readonly<Record<ExchangeStatus, number>> {
  const counts = { match: 0, changed: 0, 'error-shape': 0, missing: 0, extra: 0, blocked: 0, skipped: 0 };
  for (const { status } of results) counts[status] += 1;
  return counts;
}

/** 0 all equal, 1 something differs, 4 something could not be tried, or there was nothing to try. */
export function verifyExitCode(results: readonly ExchangeResult[]): 0 | 1 | 4 {
  const { changed, missing, extra, blocked, skipped, ...rest } = countStatuses(results);
  if (changed + missing + extra + rest['error-shape'] > 0) return 1;
  return blocked + skipped > 0 || results.length === 0 ? 4 : 0;
}
