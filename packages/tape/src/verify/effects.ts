import { asObject, type JsonObject, type Message } from '@shadowcat/wire';

/** Lists longer than this are read no further. */
const MAX_PAGES = 100;

/** What the live server says about its tools. */
export interface LiveTools {
  /** Names of the tools that say that they change nothing (`readOnlyHint`). */
  readonly harmless: ReadonlySet<string>;
  /** `outputSchema` by tool. */
  readonly schemas: ReadonlyMap<string, JsonObject>;
}

/** Asks the server for its tools, page by page. `ask` resolves with `undefined` when there was no answer. */
export async function liveTools(
  ask: (method: string, params: JsonObject) => Promise<Message | undefined>,
  meta: JsonObject | undefined,
): Promise<LiveTools> {
  const harmless = new Set<string>();
  const schemas = new Map<string, JsonObject>();
  const fixed: JsonObject = meta === undefined ? {} : { _meta: meta };
  let page: JsonObject = fixed;
  for (let count = 0; count < MAX_PAGES; count += 1) {
    const result = asObject((await ask('tools/list', page))?.value['result']);
    const tools = result?.['tools'];
    for (const entry of Array.isArray(tools) ? tools : []) {
      const tool = asObject(entry);
      const name = tool?.['name'];
      if (typeof name !== 'string') continue;
      if (asObject(tool?.['annotations'])?.['readOnlyHint'] === true) harmless.add(name);
      const schema = asObject(tool?.['outputSchema']);
      if (schema !== undefined) schemas.set(name, schema);
    }
    const next = result?.['nextCursor'];
    if (typeof next !== 'string') break;
    page = { ...fixed, cursor: next };
  }
  return { harmless, schemas };
}
