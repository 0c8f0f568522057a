/** The four lists that a server has (2026-07-28, "Tools", "Prompts", "Resources"). */
export type Kind = 'tools' | 'prompts' | 'resources' | 'templates';

export interface KindFacts {
  /** The request that lists them. */
  readonly method: string;
  /** The member of its result that holds the list. */
  readonly member: string;
  /** The member of an item by which it is asked for. */
  readonly key: string;
  /** The notification that says that the list is another. */
  readonly changed: string;
  /** The member of a subscription's filter that asks for that. */
  readonly filter: string;
  /** The server capability that offers it. */
  readonly capability: string;
}

export const KINDS: Readonly<Record<Kind, KindFacts>> = {
  tools: {
    method: 'tools/list',
    member: 'tools',
    key: 'name',
    changed: 'notifications/tools/list_changed',
    filter: 'toolsListChanged',
    capability: 'tools',
  },
  prompts: {
    method: 'prompts/list',
    member: 'prompts',
    key: 'name',
    changed: 'notifications/prompts/list_changed',
    filter: 'promptsListChanged',
    capability: 'prompts',
  },
  resources: {
    method: 'resources/list',
    member: 'resources',
    key: 'uri',
    changed: 'notifications/resources/list_changed',
    filter: 'resourcesListChanged',
    capability: 'resources',
  },
  templates: {
    method: 'resources/templates/list',
    member: 'resourceTemplates',
    key: 'uriTemplate',
    changed: 'notifications/resources/list_changed',
    filter: 'resourcesListChanged',
    capability: 'resources',
  },
};

/** The list that a request asks for. */
export function kindOf(method: string): Kind | undefined {
  return BY_METHOD.get(method);
}

const BY_METHOD: ReadonlyMap<string, Kind> = new Map(
  (Object.keys(KINDS) as Kind[]).map((kind) => [KINDS[kind].method, kind]),
);
