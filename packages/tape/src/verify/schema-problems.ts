import { asObject, type Json, type JsonObject } from '@shadowcat/wire';
import type { Pointer } from '../pointer.js';

/** A place of a value that a schema does not allow. */
export interface SchemaProblem {
  readonly path: Pointer;
  /** What the schema asks for, in a few words. */
  readonly wanted: string;
}

const MAX_PROBLEMS = 20;
/** Schemas and values are the server's: one that leads to itself in several ways could be followed for ever. */
const MAX_DEPTH = 256;
const MAX_CHECKS = 50_000;

interface At {
  readonly path: Pointer;
  readonly depth: number;
}

/**
 * Where a value breaks a JSON Schema. Of the vocabulary of 2020-12 this checks what tools use: types, `enum` and `const`,
 * members, items, lengths and bounds, `pattern`, the combinations, and `$ref` within the schema. What it does not know, and what
 * would take too long to find out, allows everything.
 */
export function schemaProblems(schema: JsonObject, value: Json, path: Pointer = []): readonly SchemaProblem[] {
  const checker = new Checker(schema, { left: MAX_CHECKS });
  checker.check(schema, value, { path, depth: 0 });
  return checker.problems;
}

/** How many more schemas are looked at; when none, nothing more is told. */
interface Budget {
  left: number;
}

class Checker {
  readonly #root: JsonObject;
  readonly #budget: Budget;
  readonly problems: SchemaProblem[] = [];

  constructor(root: JsonObject, budget: Budget) {
    this.#root = root;
    this.#budget = budget;
  }

  check(schema: Json | undefined, value: Json, at: At): void {
    this.#budget.left = at.depth > MAX_DEPTH ? 0 : this.#budget.left - 1;
    if (this.problems.length >= MAX_PROBLEMS || this.#budget.left <= 0) return;
    if (schema === false) this.#tell(at, 'nothing');
    const rules = asObject(schema);
    if (rules === undefined) return;
    const ref = rules['$ref'];
    if (typeof ref === 'string') this.check(this.#resolve(ref), value, { ...at, depth: at.depth + 1 });
    if (!this.#type(rules['type'], value, at)) return;
    this.#values(rules, value, at);
    if (typeof value === 'string') this.#string(rules, value, at);
    else if (typeof value === 'number') this.#number(rules, value, at);
    else if (Array.isArray(value)) this.#array(rules, value, at);
    else if (asObject(value) !== undefined) this.#object(rules, value as JsonObject, at);
    this.#combinations(rules, value, at);
  }

  #tell({ path }: At, wanted: string): void {
    if (this.problems.length < MAX_PROBLEMS && this.#budget.left > 0) this.problems.push({ path, wanted });
  }

  #resolve(ref: string): Json | undefined {
    if (ref === '#') return this.#root;
    if (!ref.startsWith('#/')) return undefined;
    let found: Json | undefined = this.#root;
    for (const step of ref.slice(2).split('/')) {
      const key = decoded(step).replaceAll('~1', '/').replaceAll('~0', '~');
      found = Array.isArray(found) ? found[Number(key)] : asObject(found)?.[key];
    }
    return found;
  }

  #type(type: Json | undefined, value: Json, at: At): boolean {
    if (type === undefined) return true;
    const types = Array.isArray(type) ? type : [type];
    if (types.some((one) => isOf(one, value))) return true;
    this.#tell(at, `of type ${types.join(' or ')}`);
    return false;
  }

  #values({ enum: allowed, const: fixed }: JsonObject, value: Json, at: At): void {
    if (Array.isArray(allowed) && !allowed.some((one) => equal(one, value))) this.#tell(at, `one of ${text(allowed)}`);
    if (fixed !== undefined && !equal(fixed, value)) this.#tell(at, text(fixed));
  }

  #string({ minLength, maxLength, pattern }: JsonObject, value: string, at: At): void {
    const length = [...value].length;
    if (typeof minLength === 'number' && length < minLength) this.#tell(at, `at least ${minLength} characters`);
    if (typeof maxLength === 'number' && length > maxLength) this.#tell(at, `at most ${maxLength} characters`);
    if (typeof pattern === 'string' && matches(pattern, value) === false) this.#tell(at, `like ${pattern}`);
  }

  #number(rules: JsonObject, value: number, at: At): void {
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = rules;
    if (typeof minimum === 'number' && value < minimum) this.#tell(at, `at least ${minimum}`);
    if (typeof maximum === 'number' && value > maximum) this.#tell(at, `at most ${maximum}`);
    if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum) this.#tell(at, `above ${exclusiveMinimum}`);
    if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum) this.#tell(at, `below ${exclusiveMaximum}`);
    if (typeof multipleOf === 'number' && !isMultiple(value, multipleOf)) this.#tell(at, `a multiple of ${multipleOf}`);
  }

  #array({ items, prefixItems, minItems, maxItems }: JsonObject, value: readonly Json[], at: At): void {
    if (typeof minItems === 'number' && value.length < minItems) this.#tell(at, `at least ${minItems} items`);
    if (typeof maxItems === 'number' && value.length > maxItems) this.#tell(at, `at most ${maxItems} items`);
    const prefix = Array.isArray(prefixItems) ? prefixItems : [];
    for (const [index, item] of value.entries()) this.check(prefix[index] ?? items, item, below(at, String(index)));
  }

  #object(rules: JsonObject, value: JsonObject, at: At): void {
    const { required, additionalProperties } = rules;
    const properties = asObject(rules['properties']) ?? {};
    const patterns = Object.entries(asObject(rules['patternProperties']) ?? {});
    for (const key of Array.isArray(required) ? required : []) {
      if (typeof key === 'string' && !Object.hasOwn(value, key)) this.#tell(below(at, key), 'there');
    }
    for (const [key, member] of Object.entries(value)) {
      const own = Object.hasOwn(properties, key) ? properties[key] : undefined;
      const fitting = patterns.filter(([pattern]) => matches(pattern, key) === true);
      if (own !== undefined) this.check(own, member, below(at, key));
      for (const [, schema] of fitting) this.check(schema, member, below(at, key));
      if (own === undefined && fitting.length === 0) this.check(additionalProperties, member, below(at, key));
    }
  }

  #combinations({ allOf, anyOf, oneOf, not }: JsonObject, value: Json, at: At): void {
    for (const schema of Array.isArray(allOf) ? allOf : []) this.check(schema, value, { ...at, depth: at.depth + 1 });
    const fits = (schema: Json): boolean => {
      const checker = new Checker(this.#root, this.#budget);
      checker.check(schema, value, { ...at, depth: at.depth + 1 });
      return checker.problems.length === 0;
    };
    if (Array.isArray(anyOf) && !anyOf.some(fits)) this.#tell(at, 'one of several shapes');
    if (Array.isArray(oneOf) && oneOf.filter(fits).length !== 1) this.#tell(at, 'exactly one of several shapes');
    if (not !== undefined && fits(not)) this.#tell(at, 'of another shape');
  }
}

const below = ({ path, depth }: At, step: string): At => ({ path: [...path, step], depth: depth + 1 });

function isOf(type: Json, value: Json): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return asObject(value) !== undefined;
    case 'integer':
      return typeof value === 'number' && Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

/** Apart from what decimal fractions lose as binary ones: 0.3 is a multiple of 0.1. */
function isMultiple(value: number, of: number): boolean {
  const times = value / of;
  return !Number.isFinite(times) || Math.abs(times - Math.round(times)) <= 1e-9 * Math.max(1, Math.abs(times));
}

function decoded(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

function equal(one: Json, other: Json): boolean {
  return sorted(one) === sorted(other);
}

function sorted(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(sorted).join(',')}]`;
  const object = asObject(value);
  if (object === undefined) return JSON.stringify(value);
  const keys = Object.keys(object).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${sorted(object[key] ?? null)}`).join(',')}}`;
}

/** What repeats, without a bound of its own. */
const REPEATS = /[+*]|\{\d+,\d*\}/g;
const REPEATED_GROUP = /\)(?:[+*]|\{\d+,\d*\})/;
/** So many of what repeats, side by side, are tried; more, or long texts, can take for ever. */
const MAX_REPEATS = 3;
const MAX_MATCHED = 1000;

/** Whether trying a pattern of the server's could take for ever: groups that repeat what repeats or has a choice. */
function isEndless(pattern: string): boolean {
  const repeats = pattern.match(REPEATS)?.length ?? 0;
  return repeats > MAX_REPEATS || (REPEATED_GROUP.test(pattern) && (repeats > 1 || pattern.includes('|')));
}

/** `undefined` when the pattern is none that can be tried. */
function matches(pattern: string, value: string): boolean | undefined {
  if (value.length > MAX_MATCHED || isEndless(pattern)) return undefined;
  try {
    return new RegExp(pattern, 'u').test(value);
  } catch {
    return undefined;
  }
}

function text(value: Json): string {
  const json = JSON.stringify(value);
  return json.length > 100 ? `${json.slice(0, 100)}…` : json;
}
