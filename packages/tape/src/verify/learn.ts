import { isEpoch, normalised } from '../normalise.js';
import { NORMALISERS } from '../overlay.js';
import { pointerText } from '../pointer.js';
import type { AnswerDifference } from './compare.js';
import type { Flow } from './flows.js';
import type { ExchangeResult } from './judge.js';

/** Places of the answers to one kind of request. */
export interface ProposedRule {
  readonly method: string;
  readonly target: string | undefined;
  /** JSON pointers. */
  readonly at: readonly string[];
}

/** Rules of an overlay, for a person to look at. */
export interface Proposal {
  /** What differs from run to run, or is another time, UUID or temporary path than on the tape. */
  readonly ignore: readonly ProposedRule[];
  /** What the server mints and the client gives back. Used without a rule too. */
  readonly bind: readonly ProposedRule[];
}

/** Learns from several runs of the same tape which places vary. `runs` are results of the same plan, in its order. */
export function learn(runs: readonly (readonly ExchangeResult[])[], captured: readonly Flow[]): Proposal {
  const ignore = new Rules();
  const [first = []] = runs;
  for (const [index, exchange] of first.entries()) {
    if (exchange.recording === undefined) continue;
    const seen = runs.flatMap((run) => run[index] ?? []);
    const pointers = new Set(seen.flatMap(({ differences }) => differences.map(({ pointer }) => pointer)));
    for (const pointer of pointers) {
      const values = seen.map(({ differences }) => differences.find((difference) => difference.pointer === pointer));
      if (isVolatile(values)) ignore.add(exchange, pointer);
    }
  }
  const bind = new Rules();
  for (const { from } of captured) {
    if (from.within === undefined) bind.add(from.recording, pointerText(from.path));
  }
  return { ignore: ignore.all, bind: bind.all };
}

/** Whether the runs disagree, or all of them have another value of a kind that is never the same. */
function isVolatile(values: readonly (AnswerDifference | undefined)[]): boolean {
  const spelled = new Set(values.map((value) => (value === undefined ? 'as recorded' : JSON.stringify([value.got]))));
  if (spelled.size > 1) return true;
  const [value] = values;
  return value !== undefined && sameKind(value.recorded, value.got);
}

function sameKind(recorded: unknown, got: unknown): boolean {
  if (typeof recorded === 'number' && typeof got === 'number') return isEpoch(String(recorded)) && isEpoch(String(got));
  if (typeof recorded !== 'string' || typeof got !== 'string') return false;
  let [one, other] = [recorded, got];
  for (const kind of NORMALISERS) {
    one = normalised(one, kind);
    other = normalised(other, kind);
  }
  return one === other;
}

class Rules {
  readonly #rules = new Map<string, ProposedRule & { at: string[] }>();

  get all(): readonly ProposedRule[] {
    return [...this.#rules.values()];
  }

  add({ method, target }: Pick<ProposedRule, 'method' | 'target'>, pointer: string): void {
    const key = JSON.stringify([method, target]);
    const rule = this.#rules.get(key);
    if (rule === undefined) this.#rules.set(key, { method, target, at: [pointer] });
    else if (!rule.at.includes(pointer)) rule.at.push(pointer);
  }
}

/** One rule as overlays have it, in YAML's flow style. */
export function ruleText({ method, target, at }: ProposedRule): string {
  const name = target === undefined ? '' : `, target: ${JSON.stringify(target)}`;
  return `{ method: ${JSON.stringify(method)}${name}, at: [${at.map((pointer) => JSON.stringify(pointer)).join(', ')}] }`;
}

/** A proposal as an overlay file. `by` says what made it. */
export function proposalText({ ignore, bind }: Proposal, by: string): string {
  const list = (name: string, rules: readonly ProposedRule[]): string =>
    rules.length === 0 ? '' : `${name}:\n${rules.map((rule) => `  - ${ruleText(rule)}\n`).join('')}`;
  const body = `${list('ignore', ignore)}${list('bind', bind)}`;
  return `# Proposed by ${by}. Look at each rule before you use it: what is ignored is not verified.\n${body}`;
}
