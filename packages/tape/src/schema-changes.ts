import { asObject, type Json, type JsonObject } from '@shadowcat/wire';

/**
 * What a change means for those who use a server: `breaking`, what worked fails; `dangerous`, it works and may do something
 * else, or a model may decide otherwise; `minor`, there is more than before.
 */
export type Rating = 'breaking' | 'dangerous' | 'minor';

export interface SchemaChange {
  readonly rating: Rating;
  /** JSON Pointer into the schema. */
  readonly at: string;
  readonly message: string;
}

/** `input`: callers send what it describes; `output`: they receive it. What one side may do less is what the other need not fear. */
export type SchemaSide = 'input' | 'output';

const MAX_DEPTH = 32;
/** Members of a schema that have rules of their own below, or say nothing. */
const TREATED = new Set([
  'type',
  'enum',
  'properties',
  'required',
  'items',
  'additionalProperties',
  'description',
  'title',
  'examples',
  '$schema',
]);

/** Bounds, and whether more of it allows more. */
const BOUNDS: ReadonlyMap<string, 'upper' | 'lower'> = new Map([
  ['maximum', 'upper'],
  ['exclusiveMaximum', 'upper'],
  ['maxLength', 'upper'],
  ['maxItems', 'upper'],
  ['maxProperties', 'upper'],
  ['minimum', 'lower'],
  ['exclusiveMinimum', 'lower'],
  ['minLength', 'lower'],
  ['minItems', 'lower'],
  ['minProperties', 'lower'],
]);

/** How a JSON Schema differs from the one before. */
export function schemaChanges(before: JsonObject, after: JsonObject, side: SchemaSide): readonly SchemaChange[] {
  const changes: SchemaChange[] = [];
  compare({ before, after, at: '', depth: 0 }, side, (rating, at, message) => changes.push({ rating, at, message }));
  return changes;
}

interface Pair {
  readonly before: JsonObject;
  readonly after: JsonObject;
  readonly at: string;
  readonly depth: number;
}
type Report = (rating: Rating, at: string, message: string) => void;

function compare(pair: Pair, side: SchemaSide, report: Report): void {
  const { before, after, at, depth } = pair;
  if (depth > MAX_DEPTH) return;
  compareTypes(pair, side, report);
  compareEnums(pair, side, report);
  compareProperties(pair, side, report);
  compareItems(pair, side, report);
  compareBounds(pair, side, report);
  compareOpenness(pair, side, report);
  if (before['description'] !== after['description']) report('dangerous', at, 'the description is another one');
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  for (const key of keys) {
    if (TREATED.has(key) || BOUNDS.has(key) || spelled(before[key]) === spelled(after[key])) continue;
    report('dangerous', `${at}/${key}`, `${key} was ${shown(before[key])}, is ${shown(after[key])}`);
  }
}

function compareItems({ before, after, at, depth }: Pair, side: SchemaSide, report: Report): void {
  const [from, to] = [before['items'], after['items']];
  if (spelled(from) === spelled(to)) return;
  const [old, now] = [asObject(from), asObject(to)];
  if (old !== undefined && now !== undefined)
    compare({ before: old, after: now, at: `${at}/items`, depth: depth + 1 }, side, report);
  else report(rated(side, isOpen(to)), `${at}/items`, `items was ${shown(from)}, is ${shown(to)}`);
}

function compareBounds({ before, after, at }: Pair, side: SchemaSide, report: Report): void {
  for (const [name, kind] of BOUNDS) {
    const [from, to] = [before[name], after[name]];
    if (spelled(from) === spelled(to)) continue;
    const more = typeof from === 'number' && typeof to === 'number' && (kind === 'upper' ? to > from : to < from);
    report(rated(side, to === undefined || more), `${at}/${name}`, `${name} was ${shown(from)}, is ${shown(to)}`);
  }
}

/** Whether members that nothing describes are allowed. */
function compareOpenness({ before, after, at, depth }: Pair, side: SchemaSide, report: Report): void {
  const [from, to] = [before['additionalProperties'], after['additionalProperties']];
  if (spelled(from ?? true) === spelled(to ?? true)) return;
  const [old, now] = [asObject(from), asObject(to)];
  const place = `${at}/additionalProperties`;
  if (old !== undefined && now !== undefined)
    return compare({ before: old, after: now, at: place, depth: depth + 1 }, side, report);
  const wider = isOpen(to) || from === false;
  // A client has to do with members that it does not know.
  const rating = side === 'input' ? rated(side, wider) : 'minor';
  report(rating, place, `additionalProperties was ${shown(from)}, is ${shown(to)}`);
}

const isOpen = (schema: Json | undefined): boolean => schema === undefined || schema === true;

/** More is allowed than before, or less: what breaks on one side is harmless on the other. */
function rated(side: SchemaSide, wider: boolean): Rating {
  if (side === 'input') return wider ? 'minor' : 'breaking';
  return wider ? 'dangerous' : 'minor';
}

function compareTypes({ before, after, at }: Pair, side: SchemaSide, report: Report): void {
  const [from, to] = [before['type'], after['type']];
  if (spelled(from) === spelled(to)) return;
  const [old, now] = [listOf(from), listOf(to)];
  const wider = to === undefined || (from !== undefined && old.every((type) => includes(now, type)));
  const narrower = from === undefined || (to !== undefined && now.every((type) => includes(old, type)));
  const harmless = side === 'input' ? wider : narrower;
  report(harmless ? 'minor' : 'breaking', `${at}/type`, `the type was ${shown(from)}, is ${shown(to)}`);
}

/** A number is also what was an integer. */
function includes(types: readonly Json[], type: Json): boolean {
  return types.includes(type) || (type === 'integer' && types.includes('number'));
}

function compareEnums({ before, after, at }: Pair, side: SchemaSide, report: Report): void {
  const [from, to] = [before['enum'], after['enum']];
  if (from === undefined && to === undefined) return;
  if (from === undefined || to === undefined) {
    const fewer = from === undefined;
    const harmless = side === 'input' ? !fewer : fewer;
    report(
      harmless ? 'minor' : 'breaking',
      `${at}/enum`,
      fewer ? 'only some values are left' : 'any value is possible',
    );
    return;
  }
  const [old, now] = [listOf(from).map(spelled), listOf(to).map(spelled)];
  const gone = old.filter((value) => !now.includes(value));
  const added = now.filter((value) => !old.includes(value));
  if (gone.length > 0) report(side === 'input' ? 'breaking' : 'minor', `${at}/enum`, `without ${gone.join(', ')}`);
  if (added.length > 0) report(side === 'input' ? 'minor' : 'dangerous', `${at}/enum`, `also ${added.join(', ')}`);
}

function compareProperties({ before, after, at, depth }: Pair, side: SchemaSide, report: Report): void {
  const [old, now] = [asObject(before['properties']) ?? {}, asObject(after['properties']) ?? {}];
  const [needed, needs] = [listOf(before['required']), listOf(after['required'])];
  for (const [name, value] of Object.entries(old)) {
    const place = `${at}/properties/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (!Object.hasOwn(now, name)) {
      report('breaking', place, 'the property is gone');
      continue;
    }
    if (!needed.includes(name) && needs.includes(name))
      report(side === 'input' ? 'breaking' : 'minor', place, 'the property is required now');
    if (needed.includes(name) && !needs.includes(name))
      report(side === 'input' ? 'minor' : 'breaking', place, 'the property may be left out now');
    const [from, to] = [asObject(value), asObject(now[name])];
    if (from !== undefined && to !== undefined)
      compare({ before: from, after: to, at: place, depth: depth + 1 }, side, report);
    else if (spelled(value) !== spelled(now[name]))
      report(rated(side, isOpen(now[name])), place, `the property was ${shown(value)}, is ${shown(now[name])}`);
  }
  for (const name of needs) {
    const known = typeof name !== 'string' || Object.hasOwn(old, name) || Object.hasOwn(now, name);
    if (!known && !needed.includes(name)) report(rated(side, false), `${at}/required`, `${name} is required now`);
  }
  for (const name of Object.keys(now)) {
    if (Object.hasOwn(old, name)) continue;
    const place = `${at}/properties/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (side === 'input' && needs.includes(name)) report('breaking', place, 'a new property is required');
    else report('minor', place, 'a new property');
  }
}

function listOf(value: Json | undefined): readonly Json[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** A text that is equal for equal values, whatever the order of their keys. */
export function spelled(value: Json | undefined): string {
  return value === undefined ? '' : JSON.stringify(value, sortedKeys);
}

function sortedKeys(_: string, value: Json): Json {
  const object = asObject(value);
  return object === undefined ? value : Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const MAX_SHOWN = 60;

function shown(value: Json | undefined): string {
  if (value === undefined) return 'not there';
  const text = JSON.stringify(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
