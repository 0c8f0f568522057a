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
const OPAQUE: ReadonlySet<string> = new Set(['/nextCursor', '/requestState']);

/**
 * Where two JSON-RPC answers differ, at most {@link MAX_DIFFERENCES} places. Ids, `_meta` and the order of members do not count;
 * numbers count by value. A `text` that is a JSON object or array in both is compared as such.
 */
export function compareAnswers(primary: JsonObject, shadow: JsonObject, ignored: IgnoreTest): readonly Difference[] {
  const comparison = new Comparison(ignored);
  const ours = primary['error'];
  const theirs = shadow['error'];
  if (ours === undefined && theirs === undefined) comparison.compare(ROOT, primary['result'], shadow['result']);
  else comparison.compare(below(ROOT, 'error'), ours, theirs);
  return comparison.found;
}

interface Place {
  readonly steps: readonly string[];
  readonly pointer: string;
  readonly place: string;
}

const ROOT: Place = { steps: [], pointer: '', place: '' };

function below({ steps, pointer, place }: Place, step: string, shown = stepText(step)): Place {
  return { steps: [...steps, step], pointer: `${pointer}/${stepText(step)}`, place: `${place}/${shown}` };
}

class Comparison {
  readonly found: Difference[] = [];
  readonly #ignored: IgnoreTest;

  constructor(ignored: IgnoreTest) {
    this.#ignored = ignored;
  }

  compare(at: Place, primary: Json | undefined, shadow: Json | undefined): void {
    if (primary === shadow || this.found.length >= MAX_DIFFERENCES || this.#ignored(at.steps)) return;
    const [ours, theirs] = [typeOf(primary), typeOf(shadow)];
    if (theirs === undefined || ours === undefined) {
      this.#tell(at, theirs === undefined ? 'missing' : 'extra', [ours, theirs]);
    } else if (ours !== theirs) this.#tell(at, 'type', [ours, theirs]);
    else if (at.steps.length >= MAX_DEPTH) this.#tell(at, 'value', [ours, theirs]);
    else if (Array.isArray(primary) && Array.isArray(shadow)) this.#arrays(at, primary, shadow);
    else if (ours === 'object') this.#objects(at, primary as JsonObject, shadow as JsonObject);
    else this.#values(at, primary as Json, shadow as Json);
  }

  #objects(at: Place, primary: JsonObject, shadow: JsonObject): void {
    for (const key of new Set([...Object.keys(primary), ...Object.keys(shadow)])) {
      if (key === '_meta') continue;
      this.compare(below(at, key), own(primary, key), own(shadow, key));
    }
  }

  #arrays(at: Place, primary: readonly Json[], shadow: readonly Json[]): void {
    const named = byNames(primary, shadow);
    if (named !== undefined) this.#named(at, named);
    else if (isReordered(primary, shadow)) this.#tell(at, 'order', ['array', 'array']);
    else {
      for (let index = 0; index < Math.max(primary.length, shadow.length); index += 1) {
        this.compare(below(at, `${index}`, '*'), primary[index], shadow[index]);
      }
    }
  }

  #named(at: Place, { member, primary, shadow }: NamedPair): void {
    const listed = member === 'name' && LISTS.has(at.pointer);
    for (const [name, item] of primary) {
      this.compare(below(at, listed ? name : `${item.index}`, '*'), item.value, shadow.get(name)?.value);
    }
    for (const [name, item] of shadow) {
      if (!primary.has(name)) this.compare(below(at, listed ? name : `${item.index}`, '*'), undefined, item.value);
    }
    const common = [...primary.keys()].filter((name) => shadow.has(name));
    const theirs = [...shadow.keys()].filter((name) => primary.has(name));
    if (common.some((name, index) => name !== theirs[index])) this.#tell(at, 'order', ['array', 'array']);
  }

  #values(at: Place, primary: Json, shadow: Json): void {
    if (OPAQUE.has(at.pointer)) return;
    if (at.steps.at(-1) === 'text') {
      const ours = structureIn(primary);
      const theirs = ours && structureIn(shadow);
      if (ours !== undefined && theirs !== undefined) return this.compare(at, ours, theirs);
    }
    this.#tell(at, 'value', [typeOf(primary), typeOf(shadow)]);
  }

  #tell(
    { pointer, place }: Place,
    kind: DifferenceKind,
    types: readonly [JsonType | undefined, JsonType | undefined],
  ): void {
    if (this.found.length >= MAX_DIFFERENCES) return;
    const [primary, shadow] = types;
    this.found.push({ pointer: cut(pointer), place: cut(place), kind, primary, shadow });
  }
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
const LISTS: ReadonlySet<string> = new Set(['/tools', '/prompts', '/resources', '/resourceTemplates']);

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

/** Whether two arrays of plain values have the same ones, and only their order differs. */
function isReordered(primary: readonly Json[], shadow: readonly Json[]): boolean {
  if (primary.length !== shadow.length || [...primary, ...shadow].some((item) => typeof item === 'object'))
    return false;
  const sorted = (items: readonly Json[]): string => JSON.stringify(items.map((item) => JSON.stringify(item)).sort());
  return JSON.stringify(primary) !== JSON.stringify(shadow) && sorted(primary) === sorted(shadow);
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
