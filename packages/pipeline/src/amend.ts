import { type Edit, type Json, type JsonObject, type Message, readMessage, spliceMessage } from '@shadowcat/wire';

/**
 * The message as an interceptor wants it: only what it changed is written anew, all other numbers, key orders and escapes
 * stay as they came. Throws an `Error` when the new message is none, or differs in kind, id or method.
 */
export function amended(original: Message, wanted: object): Message {
  // Through JSON, so that what JSON does not have (undefined, dates, …) is what it will be for the receiver.
  const value = JSON.parse(JSON.stringify(wanted)) as Json;
  const edits: Edit[] = [];
  difference([], { before: original.value, after: value }, edits);
  if (edits.length === 0) return original;
  const message = readMessage(rewritten(original, value, edits));
  if (message === undefined) throw new Error('what it made of the message is no JSON-RPC message');
  if (message.kind !== original.kind) throw new Error(`it made a ${message.kind} of a ${original.kind}`);
  if (message.id !== original.id) throw new Error('it changed the id of the message');
  if (message.method !== original.method) throw new Error('it changed the method of the message');
  return message;
}

function rewritten(original: Message, value: Json, edits: readonly Edit[]): string {
  if (!edits.some(({ path }) => path.length === 0)) return spliceMessage(original.text, edits);
  const text = JSON.stringify(value);
  const sameId = isObject(value) && value['id'] === original.id && original.idText !== undefined;
  return sameId ? spliceMessage(text, [{ path: ['id'], json: original.idText }]) : text;
}

/** The smallest values that have to be replaced. An object that got or lost a key is replaced in whole. */
function difference(path: readonly string[], values: { before: Json; after: Json }, edits: Edit[]): void {
  const { before, after } = values;
  if (Object.is(before, after)) return;
  const keys = sharedKeys(before, after);
  if (keys === undefined) {
    edits.push({ path, json: JSON.stringify(after) });
    return;
  }
  const [inBefore, inAfter] = [before, after] as unknown as [JsonObject, JsonObject];
  for (const key of keys) {
    difference([...path, key], { before: inBefore[key] as Json, after: inAfter[key] as Json }, edits);
  }
}

function sharedKeys(before: Json, after: Json): readonly string[] | undefined {
  if (Array.isArray(before) && Array.isArray(after)) {
    return before.length === after.length ? Object.keys(before) : undefined;
  }
  if (!isObject(before) || !isObject(after)) return undefined;
  const keys = Object.keys(before);
  const same = keys.length === Object.keys(after).length && keys.every((key) => Object.hasOwn(after, key));
  return same ? keys : undefined;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
