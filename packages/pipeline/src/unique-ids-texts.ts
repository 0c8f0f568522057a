import type { Frame } from '@shadowcat/kernel';
import { type Edit, type JsonObject, type Message, type RpcId, spliceMessage } from '@shadowcat/wire';
import type { IdTable, Renamed } from './unique-ids-table.js';

/** Finds a renamed request by the id or token that the server knows it by. */
export type Find = (fresh: string) => Renamed | undefined;

const ID = ['id'];
const TOKEN_IN_REQUEST = ['params', '_meta', 'progressToken'];
const PROGRESS_TOKEN = ['params', 'progressToken'];
const REQUEST_ID = ['params', 'requestId'];

/** A request as the server gets it. */
export function renamedText(message: Message, { fresh, tokenText }: Renamed): string {
  const json = JSON.stringify(fresh);
  const edits: Edit[] = [{ path: ID, json }];
  if (tokenText !== undefined) edits.push({ path: TOKEN_IN_REQUEST, json });
  return spliceMessage(message.text, edits);
}

/** A client's cancellation as the server gets it; every other message is what it is. */
export function cancelledText(message: Message, table: IdTable): string {
  if (message.method !== 'notifications/cancelled') return message.text;
  const params = message.value['params'] as JsonObject | null | undefined;
  const renamed = table.newest(params?.['requestId']);
  if (renamed === undefined) return message.text;
  return spliceMessage(message.text, [{ path: REQUEST_ID, json: JSON.stringify(renamed.fresh) }]);
}

/** The text of a server's message as its client gets it; `undefined`: as it is. */
export function restoredText(frame: Frame, find: Find): string | undefined {
  const { text } = frame;
  if (text === undefined || text === '') return undefined;
  const edits = messagesIn(frame.message).flatMap(({ value, path }) => restoring(value, find, path));
  return edits.length === 0 ? undefined : spliceMessage(text, edits);
}

/** The ids of the answers in a frame's message. */
export function answeredIds(message: unknown): RpcId[] {
  return messagesIn(message).flatMap(({ value }) => {
    const { id, method } = value;
    return method === undefined && (typeof id === 'string' || typeof id === 'number') ? [id] : [];
  });
}

interface Placed {
  readonly value: JsonObject;
  /** Where it is in the text: at the top, or in a batch (2025-03-26). */
  readonly path: readonly string[];
}

function messagesIn(message: unknown): Placed[] {
  const values: readonly unknown[] = Array.isArray(message) ? message : [message];
  return values.flatMap((value, at) =>
    typeof value === 'object' && value !== null
      ? [{ value: value as JsonObject, path: Array.isArray(message) ? [String(at)] : [] }]
      : [],
  );
}

function restoring(value: JsonObject, find: Find, path: readonly string[]): Edit[] {
  const { id, method } = value;
  if (method === undefined) {
    const renamed = typeof id === 'string' ? find(id) : undefined;
    return renamed === undefined ? [] : [{ path: [...path, ...ID], json: renamed.idText }];
  }
  if (method !== 'notifications/progress') return [];
  const token = (value['params'] as JsonObject | null | undefined)?.['progressToken'];
  const tokenText = typeof token === 'string' ? find(token)?.tokenText : undefined;
  return tokenText === undefined ? [] : [{ path: [...path, ...PROGRESS_TOKEN], json: tokenText }];
}
