import { asObject, type JsonObject } from '@shadowcat/wire';
import { libraryOf } from './library.js';
import type { Recording } from './recording.js';
import type { Tape } from './records.js';

export const SURFACE_KINDS = ['tool', 'prompt', 'resource', 'resource template'] as const;
export type SurfaceKind = (typeof SURFACE_KINDS)[number];

/** Something that a server offers, and the line of the tape that says so. */
export interface Offered {
  readonly line: number;
  readonly value: JsonObject;
}

/** What a server offers, as far as a tape shows it. Of a list that came several times the last one counts. */
export interface Surface {
  /** By name, or URI; `undefined` when no client asked for the list. */
  readonly offers: Readonly<Record<SurfaceKind, ReadonlyMap<string, Offered> | undefined>>;
  /** The result of `initialize` or `server/discover`. */
  readonly server: Offered | undefined;
}

interface ListMethod {
  readonly kind: SurfaceKind;
  /** The member with the list, and the member that names each of it. */
  readonly list: string;
  readonly name: string;
}

/** The methods that say what a server offers. */
export const LISTS: Readonly<Record<string, ListMethod>> = {
  'tools/list': { kind: 'tool', list: 'tools', name: 'name' },
  'prompts/list': { kind: 'prompt', list: 'prompts', name: 'name' },
  'resources/list': { kind: 'resource', list: 'resources', name: 'uri' },
  'resources/templates/list': { kind: 'resource template', list: 'resourceTemplates', name: 'uriTemplate' },
};
const OPENINGS = new Set(['initialize', 'server/discover']);

export function surfaceOf(tape: Tape): Surface {
  const library = libraryOf([tape]);
  const offers = new Map<SurfaceKind, Map<string, Offered>>();
  let server: Offered | undefined;
  for (const { recordings } of [library.sessionless, ...library.sessions]) {
    for (const recording of recordings) {
      const result = resultOf(recording);
      if (result === undefined) continue;
      if (OPENINGS.has(recording.method)) server = result;
      const list = LISTS[recording.method];
      if (list === undefined || !Object.hasOwn(LISTS, recording.method)) continue;
      let offered = offers.get(list.kind);
      // Without a cursor a list begins anew; with one it goes on.
      if (offered === undefined || !recording.message.text.includes('"cursor"')) {
        offered = new Map();
        offers.set(list.kind, offered);
      }
      collect(result, list, offered);
    }
  }
  const of = (kind: SurfaceKind): ReadonlyMap<string, Offered> | undefined => offers.get(kind);
  return {
    offers: {
      tool: of('tool'),
      prompt: of('prompt'),
      resource: of('resource'),
      'resource template': of('resource template'),
    },
    server,
  };
}

function collect({ value, line }: Offered, { list, name }: ListMethod, into: Map<string, Offered>): void {
  const items = value[list];
  if (!Array.isArray(items)) return;
  for (const item of items) {
    const offered = asObject(item);
    const key = offered?.[name];
    if (offered !== undefined && typeof key === 'string') into.set(key, { line, value: offered });
  }
}

function resultOf({ answer }: Recording): Offered | undefined {
  const value = answer === undefined ? undefined : asObject(answer.value['result']);
  return answer === undefined || value === undefined ? undefined : { line: answer.place.line, value };
}
