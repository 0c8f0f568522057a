import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { type ExchangeResult, learn, type Proposal, proposalText, type Verification } from '@shadowcat/tape';
import { CliError } from '../errors.js';
import { overlayPaths } from '../overlay/overlay-paths.js';
import { overlaySchemaReference } from '../overlay/overlay-schema.js';
import type { Io } from './contract.js';

/** What several runs propose, for one tape: only what is on it. */
export function proposalFor(tape: string, runs: readonly Verification[]): Proposal {
  const ofTape = runs.map(({ results }) => results.filter(({ file }) => file === tape));
  const flows = runs.flatMap(({ captured }) => captured.map(({ flow }) => flow));
  return learn(ofTape, [...new Set(flows.filter(({ from }) => from.recording.place.file === tape))]);
}

/** Writes a proposal beside its tape, or, where an overlay is already, to stdout. */
export async function propose(
  proposal: Proposal,
  { tape, times }: { readonly tape: string; readonly times: number },
  io: Io,
): Promise<void> {
  const name = relative(io.cwd, tape) || tape;
  if (Object.values(proposal).every((rules: readonly unknown[]) => rules.length === 0)) {
    io.tell(`${name}: nothing varies: there is no overlay to propose`);
    return;
  }
  const [path = '', ...others] = overlayPaths(tape);
  const by = `\`shadowcat verify ${name} --learn ${times}\``;
  const text = proposalText(proposal, { by, schema: overlaySchemaReference(dirname(path), io.cwd) });
  const there = others.find((other) => existsSync(other));
  if (there === undefined && (await created(path, text, io))) return;
  const shown = shownPath(there ?? path, io);
  io.tell(`${shown} is there already, and is left alone; the proposal is on stdout`);
  io.print(text.trimEnd());
}

/** False when there is one already. */
async function created(path: string, text: string, io: Io): Promise<boolean> {
  const shown = shownPath(path, io);
  try {
    await writeFile(path, text, { flag: 'wx', mode: 0o644 });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw new CliError(`${shown} cannot be written: ${(error as Error).message}`, { cause: error });
  }
  io.tell(`wrote ${shown}: look at it, then verify with --overlay ${shown}`);
  return true;
}

const shownPath = (path: string, { cwd }: Io): string => relative(cwd, path) || path;

/** The results with what was proposed taken out. */
export function withoutProposed(
  results: readonly ExchangeResult[],
  proposals: ReadonlyMap<string, Proposal>,
): readonly ExchangeResult[] {
  return results.flatMap((result) => {
    const proposal = proposals.get(result.file);
    const at = [...(proposal?.ignore ?? []), ...(proposal?.normalise ?? [])].filter(
      ({ method, target }) => method === result.method && target === result.target,
    );
    const proposed = new Set(at.flatMap((rule) => rule.at));
    const differences = result.differences.filter(({ pointer }) => !proposed.has(pointer));
    if (differences.length === result.differences.length) return result;
    if (differences.length > 0) return { ...result, differences };
    // What the server says of its own accord is only told where it is not as recorded.
    return result.recording === undefined ? [] : { ...result, differences, status: 'match' };
  });
}
