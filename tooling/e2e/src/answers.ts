import { type Json, toJson } from './json.js';
import { DEFAULT_ROOTS, type Root, type ServerRequest } from './test-client.js';

interface Sampling {
  readonly messages: readonly { readonly content: unknown }[];
}

interface Elicitation {
  readonly requestedSchema?: { readonly properties?: Readonly<Record<string, FieldSchema>> };
}

interface FieldSchema {
  readonly type?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly oneOf?: readonly { readonly const: string }[];
  readonly items?: FieldSchema & { readonly anyOf?: readonly { readonly const: string }[] };
}

type FieldValue = string | number | boolean | string[];

/** The same answer to the same question, whichever SDK and revision carries it. */
export class Answers {
  readonly requests: ServerRequest[] = [];
  readonly logs: Json[] = [];
  readonly #roots: readonly Root[];

  constructor(roots: readonly Root[] = DEFAULT_ROOTS) {
    this.#roots = roots;
  }

  sample(params: Sampling): {
    role: 'assistant';
    model: string;
    stopReason: string;
    content: { type: 'text'; text: string };
  } {
    this.#note('sampling/createMessage', params);
    const asked = JSON.stringify(params.messages.at(-1)?.content ?? null);
    return {
      role: 'assistant',
      model: 'e2e',
      stopReason: 'endTurn',
      content: { type: 'text', text: `sampled ${asked}` },
    };
  }

  elicit(params: Elicitation): { action: 'accept'; content: Record<string, FieldValue> } {
    this.#note('elicitation/create', params);
    const fields = Object.entries(params.requestedSchema?.properties ?? {});
    return { action: 'accept', content: Object.fromEntries(fields.map(([name, field]) => [name, valueFor(field)])) };
  }

  listRoots(): { roots: { uri: string; name?: string }[] } {
    this.#note('roots/list', {});
    return { roots: this.#roots.map((root) => ({ ...root })) };
  }

  log(params: unknown): void {
    this.logs.push(withoutMeta(params));
  }

  #note(method: string, params: unknown): void {
    this.requests.push({ method, params: withoutMeta(params) });
  }
}

/** Tokens and ids in `_meta` belong to one hop and differ from run to run. */
function withoutMeta(params: unknown): Json {
  const { _meta, ...rest } = (params ?? {}) as Record<string, unknown>;
  return toJson(rest);
}

function valueFor(field: FieldSchema): FieldValue {
  if (field.default !== undefined) return field.default as FieldValue;
  if (field.type === 'array') return choices(field.items ?? {}).slice(0, 1);
  const [choice] = choices(field);
  if (choice !== undefined) return choice;
  if (field.type === 'boolean') return true;
  if (field.type === 'integer') return 7;
  if (field.type === 'number') return 1.5;
  const byFormat: Readonly<Record<string, string>> = {
    email: 'ada@example.org',
    uri: 'https://example.org/',
    date: '2001-02-03',
    'date-time': '2001-02-03T04:05:06Z',
  };
  return byFormat[field.format ?? ''] ?? 'Ada';
}

function choices(field: NonNullable<FieldSchema['items']>): string[] {
  return [...(field.enum ?? []), ...(field.oneOf ?? field.anyOf ?? []).map((option) => option.const)];
}
