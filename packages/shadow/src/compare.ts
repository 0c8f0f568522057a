import { asObject, type Json, type JsonObject } from '@shadowcat/wire';
import { type IgnoreTest, stepText } from './ignored.js';

/**
 * `missing`: the shadow does not have it; `extra`: only the shadow has it; `type`, `value`: both have it, and it is another one;
 * `order`: an array has the same things in another order.
 */
export type DifferenceKind = 'missing' | 'extra' | 'type' | 'value' | 'order';
export type JsonType = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object';

/** A place where two answers differ. It says of which types the values are, never what they are. */
export interface Difference {
  /**
   * JSON Pointer within the result. What a server lists (tools, prompts, resources) is pointed at by its name, everything else in
   * arrays by its index: there names and addresses are data. Errors are below `/error`.
   */
  readonly pointer: string;
  /** The same with `*` for each step into an array: few places, however long arrays are. */
  readonly place: string;
  readonly kind: DifferenceKind;
  readonly primary: JsonType | undefined;
  readonly shadow: JsonType | undefined;
}

/** Of one pair of answers no more than these are told. */
const MAX_DIFFERENCES = 50;
const MAX_DEPTH = 100;
const MAX_POINTER = 200;

/** Each server's own tokens: that there is one is compared, not which. */
const OPAQUE: ReadonlySet<string> = new Set(['nextCursor', 'requestState']);

/**
 * Where two JSON-RPC answers differ, at most {@link MAX_DIFFERENCES} places. Ids, `_meta` and the order of members do not count;
 * numbers count by value. A `text` that is a JSON object or array in both is compared as such.
 */
export function compareAnswers(primary: JsonObject, shadow: JsonObject, ignored: IgnoreTest): readonly Difference[] {
  const comparison = new Comparison(ignored);
  const ours = primary['error'];
  const theirs = shadow['error'];
  if (ours === undefined && theirs === undefined) comparison.compare(primary['result'], shadow['result']);
  else comparison.below('error', ours, theirs);
  return comparison.found;
}

/** One comparison. Clients wait while it runs: nothing is made for what is the same. */
class Comparison {
  readonly found: Difference[] = [];
  readonly #ignored: IgnoreTest;
  /** Where it is, as steps from the result. */
  readonly #steps: string[] = [];
  /** Which of them, counted from 0, lead into arrays. */
  readonly #items = new Set<number>();

  constructor(ignored: IgnoreTest) {
    this.#ignored = ignored;
  }

  compare(primary: Json | undefined, shadow: Json | undefined): void {
    if (primary === shadow || this.#full || this.#ignored(this.#steps)) return;
    const [ours, theirs] = [typeOf(primary), typeOf(shadow)];
    if (theirs === undefined || ours === undefined) {
      this.#tell(theirs === undefined ? 'missing' : 'extra', [ours, theirs]);
    } else if (ours !== theirs) this.#tell('type', [ours, theirs]);
    else if (this.#steps.length >= MAX_DEPTH) this.#tell('value', [ours, theirs]);
    else if (Array.isArray(primary) && Array.isArray(shadow)) this.#arrays(primary, shadow);
    else if (ours === 'object') this.#objects(primary as JsonObject, shadow as JsonObject);
    else this.#values(primary as Json, shadow as Json);
  }

  /** The same one step further. */
  below(step: string, primary: Json | undefined, shadow: Json | undefined): void {
    if (primary === shadow || this.#full) return;
    this.#steps.push(step);
    this.compare(primary, shadow);
    this.#steps.pop();
  }

  /** The same one step further into an array. */
  #item(step: string, primary: Json | undefined, shadow: Json | undefined): void {
    const depth = this.#steps.length;
    this.#items.add(depth);
    this.below(step, primary, shadow);
    this.#items.delete(depth);
  }

  get #full(): boolean {
    return this.found.length >= MAX_DIFFERENCES;
  }

  /** Whether it is at one of these members of the result itself. */
  #isAt(members: ReadonlySet<string>): boolean {
    return this.#steps.length === 1 && members.has(this.#steps[0] ?? '');
  }

  #objects(primary: JsonObject, shadow: JsonObject): void {
    for (const key of Object.keys(primary)) {
      if (this.#full) return;
      if (key !== '_meta') this.below(key, primary[key], own(shadow, key));
    }
    for (const key of Object.keys(shadow)) {
      if (this.#full) return;
      if (key !== '_meta' && !Object.hasOwn(primary, key)) this.below(key, undefined, shadow[key]);
    }
  }

  #arrays(primary: readonly Json[], shadow: readonly Json[]): void {
    const named = byNames(primary, shadow);
    if (named !== undefined) this.#named(named);
    else if (isReordered(primary, shadow)) this.#tell('order', ['array', 'array']);
    else {
      const length = Math.max(primary.length, shadow.length);
      for (let index = 0; index < length && !this.#full; index += 1) {
        if (primary[index] !== shadow[index]) this.#item(`${index}`, primary[index], shadow[index]);
      }
    }
  }

  #named({ member, primary, shadow }: NamedPair): void {
    const listed = member === 'name' && this.#isAt(LISTS);
    for (const [name, item] of primary) {
      this.#item(listed ? name : `${item.index}`, item.value, shadow.get(name)?.value);
    }
    for (const [name, item] of shadow) {
      if (!primary.has(name)) this.#item(listed ? name : `${item.index}`, undefined, item.value);
    }
    const common = [...primary.keys()].filter((name) => shadow.has(name));
    const theirs = [...shadow.keys()].filter((name) => primary.has(name));
    if (common.some((name, index) => name !== theirs[index])) this.#tell('order', ['array', 'array']);
  }

  #values(primary: Json, shadow: Json): void {
    if (this.#isAt(OPAQUE)) return;
    if (this.#steps.at(-1) === 'text') {
      const ours = structureIn(primary);
      const theirs = ours && structureIn(shadow);
      if (ours !== undefined && theirs !== undefined) return this.compare(ours, theirs);
    }
    this.#tell('value', [typeOf(primary), typeOf(shadow)]);
  }

  #tell(kind: DifferenceKind, [primary, shadow]: readonly [JsonType | undefined, JsonType | undefined]): void {
    if (this.#full) return;
    const pointer = cut(pointerOf(this.#steps));
    const place = cut(pointerOf(this.#steps.map((step, at) => (this.#items.has(at) ? '*' : step))));
    this.found.push({ pointer, place, kind, primary, shadow });
  }
}

/** Of long steps only what is shown is looked at. */
function pointerOf(steps: readonly string[]): string {
  return steps.map((step) => `/${stepText(step.slice(0, MAX_POINTER + 1))}`).join('');
}

function cut(pointer: string): string {
  return pointer.length > MAX_POINTER ? `${pointer.slice(0, MAX_POINTER)}…` : pointer;
}

function own(value: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function typeOf(value: Json | undefined): JsonType | undefined {
  if (value === undefined) return undefined;
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value as JsonType;
}

/** What things in lists are known by; the first counts that all of them have. */
const NAMES = ['name', 'uri', 'uriTemplate'] as const;

/** Where names are what the server calls its own things, and no data. */
const LISTS: ReadonlySet<string> = new Set(['tools', 'prompts', 'resources', 'resourceTemplates']);

type Named = ReadonlyMap<string, { readonly index: number; readonly value: Json }>;

interface NamedPair {
  readonly member: (typeof NAMES)[number];
  readonly primary: Named;
  readonly shadow: Named;
}

/** Two arrays of things by their names; `undefined` where not each has one of its own. */
function byNames(primary: readonly Json[], shadow: readonly Json[]): NamedPair | undefined {
  for (const member of NAMES) {
    const ours = byName(primary, member);
    const theirs = ours && byName(shadow, member);
    if (ours !== undefined && theirs !== undefined) return { member, primary: ours, shadow: theirs };
  }
  return undefined;
}

function byName(items: readonly Json[], member: string): Named | undefined {
  const named = new Map<string, { readonly index: number; readonly value: Json }>();
  for (const [index, value] of items.entries()) {
    const name = asObject(value)?.[member];
    if (typeof name !== 'string') return undefined;
    named.set(name, { index, value });
  }
  return named.size === items.length ? named : undefined;
}

/** Whether two arrays of plain values have the same ones, each as often, and only their order differs. */
function isReordered(primary: readonly Json[], shadow: readonly Json[]): boolean {
  if (primary.length !== shadow.length || primary.every((item, index) => item === shadow[index])) return false;
  const left = new Map<Json, number>();
  for (const item of primary) {
    if (typeof item === 'object') return false;
    left.set(item, (left.get(item) ?? 0) + 1);
  }
  for (const item of shadow) {
    const count = left.get(item) ?? 0;
    if (count === 0) return false;
    left.set(item, count - 1);
  }
  return true;
}

/** The object or array that a text is. */
function structureIn(value: Json): Json | undefined {
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return undefined;
  try {
    return JSON.parse(value) as Json;
  } catch {
    return undefined;
  }
}
