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
  'description',
  'title',
  'examples',
  '$schema',
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
  const [items, itemsAfter] = [asObject(before['items']), asObject(after['items'])];
  if (items !== undefined && itemsAfter !== undefined) {
    compare({ before: items, after: itemsAfter, at: `${at}/items`, depth: depth + 1 }, side, report);
  }
  if (before['description'] !== after['description']) report('dangerous', at, 'the description is another one');
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  for (const key of keys) {
    if (TREATED.has(key) || spelled(before[key]) === spelled(after[key])) continue;
    report('dangerous', `${at}/${key}`, `${key} was ${shown(before[key])}, is ${shown(after[key])}`);
  }
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
