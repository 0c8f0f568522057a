import { writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { type ExchangeResult, learn, type Proposal, proposalText, type Verification } from '@shadowcat/tape';
import { CliError } from '../errors.js';
import type { Io } from './contract.js';

/** What several runs propose, for one tape: only what is on it. */
export function proposalFor(tape: string, runs: readonly Verification[]): Proposal {
  const ofTape = runs.map(({ results }) => results.filter(({ file }) => file === tape));
  const flows = runs.flatMap(({ captured }) => captured.map(({ flow }) => flow));
  return learn(ofTape, [...new Set(flows.filter(({ from }) => from.recording.place.file === tape))]);
}

/** `x.overlay.yaml` for `x.tape.jsonl`. */
function overlayPath(tape: string): string {
  return `${tape.replace(/(?:\.tape)?\.jsonl$/, '')}.overlay.yaml`;
}

/** Writes a proposal beside its tape, or, where an overlay is already, to stdout. */
export async function propose(
  proposal: Proposal,
  { tape, times }: { readonly tape: string; readonly times: number },
  io: Io,
): Promise<void> {
  const name = relative(io.cwd, tape) || tape;
  if (proposal.ignore.length + proposal.bind.length === 0) {
    io.tell(`${name}: nothing varies: there is no overlay to propose`);
    return;
  }
  const text = proposalText(proposal, `\`shadowcat verify ${name} --learn ${times}\``);
  const path = overlayPath(tape);
  const shown = relative(io.cwd, path) || path;
  try {
    await writeFile(path, text, { flag: 'wx', mode: 0o644 });
    io.tell(`wrote ${shown}: look at it, then verify with --overlay ${shown}`);
  } catch (error) {
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    if (!exists) throw new CliError(`${shown} cannot be written: ${(error as Error).message}`, { cause: error });
    io.tell(`${shown} is there already, and is left alone; the proposal is on stdout`);
    io.print(text.trimEnd());
  }
}

/** The results with what was proposed taken out. */
export function withoutProposed(
  results: readonly ExchangeResult[],
  proposals: ReadonlyMap<string, Proposal>,
): readonly ExchangeResult[] {
  return results.map((result) => {
    const rules = proposals.get(result.file)?.ignore ?? [];
    const at = rules.filter(({ method, target }) => method === result.method && target === result.target);
    const proposed = new Set(at.flatMap((rule) => rule.at));
    const differences = result.differences.filter(({ pointer }) => !proposed.has(pointer));
    if (differences.length === result.differences.length) return result;
    return differences.length > 0 ? { ...result, differences } : { ...result, differences, status: 'match' };
  });
}
