import { asObject, type Edit, type Json, type JsonObject, spliceMessage, textAt, withMembers } from '@shadowcat/wire';

/*
 * Modern tools may return any JSON as structured content, and their output schemas may say so. Legacy clients refuse the whole
 * tool list for a schema that is no object's. So such a schema becomes that of an object with the one member `result`, and
 * the content of such a tool is put into one.
 */

/** The names of listed tools whose output schema does not describe an object. */
export function wrappedTools(result: JsonObject | undefined): string[] {
  return toolsOf(result).flatMap((tool) => {
    const name = tool?.['name'];
    return typeof name === 'string' && needsWrap(tool) ? [name] : [];
  });
}

/** Whether a result of `tools/call` has structured content that is no object. */
export function unwrapped(result: JsonObject | undefined): boolean {
  const content = result?.['structuredContent'];
  return content !== undefined && asObject(content) === undefined;
}

/** An answer to `tools/list` with object schemas only. */
export function wrapSchemas(text: string, result: JsonObject | undefined): string {
  const edits: Edit[] = [];
  const without: string[] = [];
  toolsOf(result).forEach((tool, index) => {
    if (!needsWrap(tool)) return;
    const path = ['result', 'tools', String(index)];
    const schema = textAt(text, [...path, 'outputSchema']) ?? '{}';
    const json = wrappedSchema(schema, asObject(tool?.['outputSchema']));
    if (json === undefined) without.push(String(index));
    else edits.push({ path: [...path, 'outputSchema'], json });
  });
  const wrapped = spliceMessage(text, edits);
  return without.reduce(
    (out, index) => withMembers(out, ['result', 'tools', index], { outputSchema: undefined }),
    wrapped,
  );
}

/** An answer to `tools/call` with its structured content in an object. */
export function wrapStructured(text: string, result: JsonObject | undefined): string {
  if (result?.['structuredContent'] === undefined) return text;
  const path = ['result', 'structuredContent'];
  return spliceMessage(text, [{ path, json: `{"result":${textAt(text, path) ?? 'null'}}` }]);
}

function toolsOf(result: JsonObject | undefined): (JsonObject | undefined)[] {
  const tools = result?.['tools'];
  return Array.isArray(tools) ? tools.map((tool: Json) => asObject(tool)) : [];
}

function needsWrap(tool: JsonObject | undefined): boolean {
  const schema = asObject(tool?.['outputSchema']);
  return schema !== undefined && schema['type'] !== 'object';
}

/** Definitions move along, so that references to them still lead there; `undefined` where others would lead nowhere. */
function wrappedSchema(schemaText: string, schema: JsonObject | undefined): string | undefined {
  const references = schemaText.match(/"#[^"]*"/g) ?? [];
  if (references.some((reference) => !/^"#\/(\$defs|definitions)\//.test(reference))) return undefined;
  const inner = withMembers(schemaText, [], { $defs: undefined, definitions: undefined, $schema: undefined });
  const moved = ['$schema', '$defs', 'definitions']
    .filter((key) => schema?.[key] !== undefined)
    .map((key) => `,${JSON.stringify(key)}:${textAt(schemaText, [key]) ?? '{}'}`);
  return `{"type":"object","properties":{"result":${inner}},"required":["result"]${moved.join('')}}`;
}
