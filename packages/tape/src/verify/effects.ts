import { asObject, type JsonObject, type Message } from '@shadowcat/wire';
import type { Recording } from '../recording.js';

/** Lists longer than this are read no further. */
const MAX_PAGES = 100;

/** What the live server says about its tools. */
export interface LiveTools {
  readonly names: ReadonlySet<string>;
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
  const names = new Set<string>();
  const harmless = new Set<string>();
  const schemas = new Map<string, JsonObject>();
  const fixed: JsonObject = meta === undefined ? {} : { _meta: meta };
  let page: JsonObject = fixed;
  for (let count = 0; count < MAX_PAGES; count += 1) {
    const result = asObject((await ask('tools/list', page))?.value['result']);
    for (const { name, readOnly, tool } of toolsIn(result)) {
      names.add(name);
      if (readOnly) harmless.add(name);
      const schema = asObject(tool['outputSchema']);
      if (schema !== undefined) schemas.set(name, schema);
    }
    const next = result?.['nextCursor'];
    if (typeof next !== 'string') break;
    page = { ...fixed, cursor: next };
  }
  return { names, harmless, schemas };
}

/** Tools that did not say that they are read-only when the tape was recorded. */
export function recordedEffects(recordings: readonly Recording[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { method, answer } of recordings) {
    if (method !== 'tools/list' || answer === undefined) continue;
    for (const { name, readOnly } of toolsIn(asObject(answer.value['result']))) {
      if (readOnly) found.delete(name);
      else found.add(name);
    }
  }
  return found;
}

function toolsIn(
  result: JsonObject | undefined,
): { readonly name: string; readonly readOnly: boolean; readonly tool: JsonObject }[] {
  const tools = result?.['tools'];
  return (Array.isArray(tools) ? tools : []).flatMap((entry) => {
    const tool = asObject(entry);
    const name = tool?.['name'];
    if (tool === undefined || typeof name !== 'string') return [];
    return [{ name, readOnly: asObject(tool['annotations'])?.['readOnlyHint'] === true, tool }];
  });
}
