import { relative } from 'node:path';
import {
  type ExchangeResult,
  hasPlaceholder,
  type Tape,
  type Verification,
  verifyExitCode,
  verifyTapes,
} from '@shadowcat/tape';
import { readTapeFile, updateTapeFile } from '@shadowcat/tape-file';
import { CliError, EXIT } from '../errors.js';
import { unusedOverlays } from '../overlay/overlay-paths.js';
import { readOverlays } from '../overlay/read-overlay.js';
import { publish } from '../reports/publish.js';
import { gapLines } from '../tapes/gaps.js';
import type { Io, VerifyConfig } from './contract.js';
import { Owned } from './owned.js';
import { configuredSecrets, redactionOf } from './recording.js';
import { runFolder } from './run-folder.js';
import { systemClock } from './system.js';
import { proposalFor, propose, withoutProposed } from './verify-learn.js';
import { verifyReport } from './verify-report.js';
import { connectTo } from './verify-target.js';

/** `shadowcat verify`: plays the recorded clients against a live server. Its exit code says how the answers compare. */
export async function runVerify(config: VerifyConfig, io: Io): Promise<number> {
  const { log, stop: signal } = io;
  await using owned = new Owned(log);
  const overlay = await readOverlays(config.overlays, io.cwd);
  if (config.learn === undefined) for (const line of unusedOverlays(config, io.cwd)) io.tell(line);
  const tapes = await Promise.all(config.tapes.map((path) => readTapeFile(path)));
  for (const line of gapLines(tapes, io.cwd)) io.tell(line);
  const values = configuredSecrets({ upstream: config.upstream, targets: [config.target] });
  const redaction = { ...config.redaction, values };
  const hiding = { tapes: config.tapes, redaction, writes: config.update };
  const { redactor, keyId } = await redactionOf(tapes, hiding, io);
  const clock = systemClock;
  const connect = connectTo(config, { clock, log, owned, signal, listFolder: runFolder(io.env) });
  const { level, allowEffects, upstream, learn: times } = config;
  const options = { overlay, level, allowEffects, answerMs: upstream.answerMs };
  const runs: Verification[] = [];
  for (let run = 1; run <= (times ?? 1) && !signal.aborted; run += 1) {
    const progress = config.progress ? barOf(io, times === undefined ? '' : `run ${run} of ${times}: `) : undefined;
    const components = { connect, redactor, clock, stop: signal, ...(progress === undefined ? {} : { progress }) };
    try {
      runs.push(await verifyTapes(tapes, options, components));
    } finally {
      if (progress !== undefined) io.draw?.(WIPE);
    }
  }
  await owned.close();
  const results = times === undefined ? resultsOf(runs) : await learned(runs, config, io);
  if (config.update) {
    for (const tape of tapes) checkKey(tape, results, { keyId, cwd: io.cwd });
    await update(tapes, results, { keyId, io });
  }
  const left = config.update ? results.filter(({ update: written }) => written === undefined) : results;
  const report = verifyReport(results, verifyExitCode(left), io.cwd);
  const written = await publish(report, { ...io, targets: config.reports });
  return written || report.exitCode !== EXIT.ok ? report.exitCode : EXIT.failure;
}

function resultsOf(runs: readonly Verification[]): readonly ExchangeResult[] {
  return runs.at(-1)?.results ?? [];
}

/** Proposes overlays for what varied; the results of the last run without that. */
async function learned(
  runs: readonly Verification[],
  config: VerifyConfig,
  io: Io,
): Promise<readonly ExchangeResult[]> {
  const proposals = new Map(config.tapes.map((tape) => [tape, proposalFor(tape, runs)]));
  for (const [tape, proposal] of proposals) await propose(proposal, { tape, times: runs.length }, io);
  return withoutProposed(resultsOf(runs), proposals);
}

/** A secret that is hidden with a key that is not the tape's would never be equal to itself again. */
function checkKey(
  { name, head }: Tape,
  results: readonly ExchangeResult[],
  { keyId, cwd }: { readonly keyId: string; readonly cwd: string },
): void {
  const key = head.redaction?.key;
  if (key === undefined || key === keyId) return;
  const hides = results.find(({ file, update: text }) => file === name && text !== undefined && hasPlaceholder(text));
  if (hides === undefined) return;
  const place = `${relative(cwd, name) || name}:${hides.lineNumber}`;
  throw new CliError(
    `${place}: the new answer has secrets, and the key that hid those of the tape (${key}) is not here: bring .shadowcat/tape.key, or set SHADOWCAT_TAPE_KEY`,
  );
}

async function update(
  tapes: readonly Tape[],
  results: readonly ExchangeResult[],
  { keyId, io }: { readonly keyId: string; readonly io: Io },
): Promise<void> {
  for (const tape of tapes) {
    const name = relative(io.cwd, tape.name) || tape.name;
    const changed = await updateTapeFile(tape, results, { keyId });
    const lines = changed.length === 1 ? 'line' : 'lines';
    io.tell(changed.length === 0 ? `${name}: nothing to update` : `${name}: updated ${lines} ${changed.join(', ')}`);
  }
}

const WIDTH = 24;

const WIPE = '\r\u001b[K';

/** A bar that is drawn over itself. */
function barOf(io: Io, label: string): (done: number, total: number) => void {
  return (done, total) => {
    const filled = Math.round((WIDTH * done) / Math.max(1, total));
    const bar = `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}`;
    io.draw?.(`\r${label}${bar} ${done}/${total}\u001b[K`);
  };
}
