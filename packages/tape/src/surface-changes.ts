import { asObject, type Json, type JsonObject } from '@shadowcat/wire';
import { type Rating, type SchemaSide, schemaChanges, spelled } from './schema-changes.js';
import { type Offered, SURFACE_KINDS, type Surface, type SurfaceKind } from './surface.js';

/** A difference between what two tapes show that a server offers. */
export interface SurfaceChange {
  readonly rating: Rating;
  readonly kind: SurfaceKind | 'server';
  /** Of the tool, prompt, …; empty for the server. */
  readonly name: string;
  /** JSON Pointer into its definition. */
  readonly at: string;
  readonly message: string;
  /** The lines that say so; `undefined` where it is not there. */
  readonly before: number | undefined;
  readonly after: number | undefined;
}

type Report = (rating: Rating, at: string, message: string) => void;

/** How the surface changed, what breaks first. A list that one of the tapes does not have is not compared. */
export function surfaceChanges(before: Surface, after: Surface): readonly SurfaceChange[] {
  const changes: SurfaceChange[] = [];
  if (before.server !== undefined && after.server !== undefined) {
    const lines = { before: before.server.line, after: after.server.line };
    const report: Report = (rating, at, message) =>
      changes.push({ rating, kind: 'server', name: '', at, message, ...lines });
    compareServers(before.server.value, after.server.value, report);
  }
  for (const kind of SURFACE_KINDS) {
    const [old, now] = [before.offers[kind], after.offers[kind]];
    if (old === undefined || now === undefined) continue;
    const newNames = namesByRest([...now].filter(([name]) => !old.has(name)));
    for (const name of new Set([...old.keys(), ...now.keys()])) {
      const alike = now.has(name) ? [] : (newNames.get(unnamed(old.get(name))) ?? []);
      const renamed = alike.length === 1 ? alike[0] : undefined;
      changes.push(...offerChanges({ kind, name, renamed }, { before: old.get(name), after: now.get(name) }));
    }
  }
  return changes.sort((a, b) => RATINGS.indexOf(a.rating) - RATINGS.indexOf(b.rating));
}

const RATINGS: readonly Rating[] = ['breaking', 'dangerous', 'minor'];

/** The names of what is new, by all the rest of it: what is gone and has the same rest may be called so now. */
function namesByRest(added: readonly (readonly [string, Offered])[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const [name, offered] of added) {
    const rest = unnamed(offered);
    found.set(rest, [...(found.get(rest) ?? []).slice(0, 1), name]);
  }
  return found;
}

function unnamed(offered: Offered | undefined): string {
  const { name: _name, title: _title, uri: _uri, uriTemplate: _template, ...rest } = offered?.value ?? {};
  return spelled(rest);
}

function offerChanges(
  { kind, name, renamed }: { readonly kind: SurfaceKind; readonly name: string; readonly renamed: string | undefined },
  { before, after }: { readonly before: Offered | undefined; readonly after: Offered | undefined },
): readonly SurfaceChange[] {
  const changes: SurfaceChange[] = [];
  const lines = { before: before?.line, after: after?.line };
  const report: Report = (rating, at, message) => changes.push({ rating, kind, name, at, message, ...lines });
  if (after === undefined)
    report('breaking', '', `the ${kind} is gone${renamed === undefined ? '' : `; ${renamed} may be its new name`}`);
  else if (before === undefined) report('minor', '', `a new ${kind}`);
  else COMPARE[kind](before.value, after.value, report);
  return changes;
}

type Compare = (before: JsonObject, after: JsonObject, report: Report) => void;

const COMPARE: Readonly<Record<SurfaceKind, Compare>> = {
  tool: compareTools,
  prompt: comparePrompts,
  resource: compareResources,
  'resource template': compareResources,
};

function compareServers(before: JsonObject, after: JsonObject, report: Report): void {
  const [old, now] = [asObject(before['capabilities']) ?? {}, asObject(after['capabilities']) ?? {}];
  for (const name of Object.keys(old)) {
    if (!Object.hasOwn(now, name)) report('breaking', `/capabilities/${name}`, 'the capability is gone');
    else if (spelled(old[name]) !== spelled(now[name]))
      report('dangerous', `/capabilities/${name}`, 'the capability is another one');
  }
  for (const name of Object.keys(now)) {
    if (!Object.hasOwn(old, name)) report('minor', `/capabilities/${name}`, 'a new capability');
  }
  members(
    { before, after },
    { dangerous: ['protocolVersion', 'supportedVersions', 'instructions'], minor: ['serverInfo'] },
    report,
  );
}

function compareTools(before: JsonObject, after: JsonObject, report: Report): void {
  schemas('inputSchema', 'input', { before, after, report });
  schemas('outputSchema', 'output', { before, after, report });
  const [old, now] = [asObject(before['annotations']) ?? {}, asObject(after['annotations']) ?? {}];
  for (const name of new Set([...Object.keys(old), ...Object.keys(now)])) {
    if (spelled(old[name]) === spelled(now[name])) continue;
    report(isRiskier(name, now[name]) ? 'dangerous' : 'minor', `/annotations/${name}`, 'the annotation is another one');
  }
  members({ before, after }, { dangerous: ['description'], minor: ['title', 'icons', 'execution'] }, report);
}

/** Whether a hint does not promise any more what it could: absent hints promise nothing. */
function isRiskier(name: string, now: Json | undefined): boolean {
  if (name === 'readOnlyHint' || name === 'idempotentHint') return now !== true;
  return (name === 'destructiveHint' || name === 'openWorldHint') && now !== false;
}

function schemas(
  member: string,
  side: SchemaSide,
  { before, after, report }: { readonly before: JsonObject; readonly after: JsonObject; readonly report: Report },
): void {
  const [old, now] = [asObject(before[member]), asObject(after[member])];
  if (old === undefined && now === undefined) return;
  if (old === undefined) report(side === 'input' ? 'dangerous' : 'minor', `/${member}`, 'a new schema');
  else if (now === undefined) report(side === 'input' ? 'dangerous' : 'breaking', `/${member}`, 'the schema is gone');
  else for (const { rating, at, message } of schemaChanges(old, now, side)) report(rating, `/${member}${at}`, message);
}

function comparePrompts(before: JsonObject, after: JsonObject, report: Report): void {
  const [old, now] = [argumentsOf(before), argumentsOf(after)];
  for (const [name, argument] of old) {
    const at = `/arguments/${name}`;
    const next = now.get(name);
    if (next === undefined) report('breaking', at, 'the argument is gone');
    else if (next['required'] === true && argument['required'] !== true)
      report('breaking', at, 'the argument is required now');
    else if (argument['required'] === true && next['required'] !== true)
      report('minor', at, 'the argument may be left out now');
    else if (spelled(argument) !== spelled(next)) report('minor', at, 'the argument is described otherwise');
  }
  for (const [name, argument] of now) {
    if (old.has(name)) continue;
    const required = argument['required'] === true;
    report(
      required ? 'breaking' : 'minor',
      `/arguments/${name}`,
      required ? 'a new argument is required' : 'a new argument',
    );
  }
  members({ before, after }, { dangerous: ['description'], minor: ['title', 'icons'] }, report);
}

function argumentsOf(prompt: JsonObject): ReadonlyMap<string, JsonObject> {
  const found = new Map<string, JsonObject>();
  const list = prompt['arguments'];
  for (const item of Array.isArray(list) ? list : []) {
    const argument = asObject(item);
    const name = argument?.['name'];
    if (argument !== undefined && typeof name === 'string') found.set(name, argument);
  }
  return found;
}

function compareResources(before: JsonObject, after: JsonObject, report: Report): void {
  const rated = { dangerous: ['mimeType', 'description'], minor: ['name', 'title', 'size', 'annotations', 'icons'] };
  members({ before, after }, rated, report);
}

interface Pair {
  readonly before: JsonObject;
  readonly after: JsonObject;
}
type Rated = { readonly dangerous: readonly string[]; readonly minor: readonly string[] };

function members({ before, after }: Pair, rated: Rated, report: Report): void {
  for (const rating of ['dangerous', 'minor'] as const) {
    for (const name of rated[rating]) {
      if (spelled(before[name]) !== spelled(after[name])) report(rating, `/${name}`, `${name} is another one`);
    }
  }
}
