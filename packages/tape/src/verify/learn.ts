import { isEpoch, normalised } from '../normalise.js';
import { NORMALISERS, type Normaliser } from '../overlay.js';
import { pointerText } from '../pointer.js';
import { type AnswerDifference, MAX_VALUE } from './compare.js';
import type { Flow } from './flows.js';
import type { ExchangeResult } from './judge.js';

/** Places of the answers to one kind of request. */
export interface ProposedRule {
  readonly method: string;
  readonly target: string | undefined;
  /** JSON pointers. */
  readonly at: readonly string[];
}

/** Places whose values are of a kind. */
export interface ProposedNormaliser extends ProposedRule {
  readonly as: Normaliser;
}

/** Rules of an overlay, for a person to look at. */
export interface Proposal {
  /** What differs from run to run, and is of no known kind. */
  readonly ignore: readonly ProposedRule[];
  /** What is another time, UUID or temporary path than on the tape, in all runs. */
  readonly normalise: readonly ProposedNormaliser[];
  /** What the server mints and the client gives back. Used without a rule too. */
  readonly bind: readonly ProposedRule[];
}

type Seen = readonly (AnswerDifference | undefined)[];

/** Learns from several runs of the same tape which places vary. */
export function learn(runs: readonly (readonly ExchangeResult[])[], captured: readonly Flow[]): Proposal {
  const ignore = new Rules();
  const kinds = new Map<Normaliser, Rules>(NORMALISERS.map((kind) => [kind, new Rules()]));
  const byPlace = runs.map(byPlaceOf);
  for (const place of new Set(byPlace.flatMap((run) => [...run.keys()]))) {
    const seen = byPlace.map((run) => run.get(place));
    const of = seen.find((result) => result !== undefined);
    if (of === undefined) continue;
    const pointers = new Set(seen.flatMap((result) => result?.differences.map(({ pointer }) => pointer) ?? []));
    for (const pointer of pointers) {
      const values = seen.map((result) => result?.differences.find((difference) => difference.pointer === pointer));
      const same = kindsOf(values, ignore.has(of, pointer));
      if (same.length === 0 && disagree(values)) ignore.add(of, pointer);
      for (const kind of same) kinds.get(kind)?.add(of, pointer);
    }
  }
  const bind = new Rules();
  for (const { from } of captured) {
    if (from.within === undefined) bind.add(from.recording, pointerText(from.path));
  }
  const normalise = [...kinds].flatMap(([as, rules]) => rules.without(ignore).map((rule) => ({ as, ...rule })));
  return { ignore: ignore.all, normalise, bind: bind.all };
}

/** Results by where they stand: what the server says of its own accord is not the same number of results in each run. */
function byPlaceOf(results: readonly ExchangeResult[]): ReadonlyMap<string, ExchangeResult> {
  const found = new Map<string, ExchangeResult>();
  for (const result of results) {
    const place = `${result.line} ${result.method}`;
    let nth = 1;
    while (found.has(`${place} ${nth}`)) nth += 1;
    found.set(`${place} ${nth}`, result);
  }
  return found;
}

function disagree(values: Seen): boolean {
  return new Set(values.map((value) => (value === undefined ? 'as recorded' : JSON.stringify([value.got])))).size > 1;
}

/** The kinds of value that all runs have at a place, where they differ in nothing else from what was recorded. */
function kindsOf(values: Seen, ignored: boolean): readonly Normaliser[] {
  const pairs = values.flatMap((value) => (value === undefined ? [] : [[value.recorded, value.got] as const]));
  if (ignored || pairs.length === 0) return [];
  const epoch = (value: unknown): boolean => typeof value === 'number' && isEpoch(String(value));
  if (pairs.every((pair) => pair.every(epoch))) return ['timestamp'];
  const texts = pairs.flatMap((pair) => pair.filter((value) => typeof value === 'string'));
  if (texts.length < 2 * pairs.length || texts.some((text) => text.length > MAX_VALUE)) return [];
  const kinds = NORMALISERS.filter((kind) => texts.every((text) => normalised(text, kind) !== text));
  return new Set(texts.map((text) => kinds.reduce(normalised, text))).size === 1 ? kinds : [];
}

class Rules {
  readonly #rules = new Map<string, ProposedRule & { at: string[] }>();

  get all(): readonly ProposedRule[] {
    return [...this.#rules.values()];
  }

  has({ method, target }: Pick<ProposedRule, 'method' | 'target'>, pointer: string): boolean {
    return this.#rules.get(JSON.stringify([method, target]))?.at.includes(pointer) === true;
  }

  /** The rules without the places of others. */
  without(others: Rules): readonly ProposedRule[] {
    return this.all.flatMap((rule) => {
      const at = rule.at.filter((pointer) => !others.has(rule, pointer));
      return at.length === 0 ? [] : [{ ...rule, at }];
    });
  }

  add({ method, target }: Pick<ProposedRule, 'method' | 'target'>, pointer: string): void {
    const key = JSON.stringify([method, target]);
    const rule = this.#rules.get(key);
    if (rule === undefined) this.#rules.set(key, { method, target, at: [pointer] });
    else if (!rule.at.includes(pointer)) rule.at.push(pointer);
  }
}

/** One rule as overlays have it, in YAML's flow style. */
export function ruleText({ as, method, target, at }: ProposedRule & Partial<ProposedNormaliser>): string {
  const kind = as === undefined ? '' : `as: ${as}, `;
  const name = target === undefined ? '' : `, target: ${JSON.stringify(target)}`;
  return `{ ${kind}method: ${JSON.stringify(method)}${name}, at: [${at.map((pointer) => JSON.stringify(pointer)).join(', ')}] }`;
}

/** A proposal as an overlay file. `by` says what made it; `schema` where its JSON Schema is, for editors. */
export function proposalText(
  { ignore, normalise, bind }: Proposal,
  { by, schema }: { readonly by: string; readonly schema?: string | undefined },
): string {
  const list = (name: string, rules: readonly ProposedRule[]): string =>
    rules.length === 0 ? '' : `${name}:\n${rules.map((rule) => `  - ${ruleText(rule)}\n`).join('')}`;
  const body = `${list('ignore', ignore)}${list('normalise', normalise)}${list('bind', bind)}`;
  const head = schema === undefined ? '' : `# yaml-language-server: $schema=${schema}\n`;
  return `${head}# Proposed by ${by}. Look at each rule before you use it: what is ignored is not verified.
${body}`;
}
