/** A JSON value as `JSON.parse` makes it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** A JSON-RPC 2.0 id. `null` only in errors about requests whose id could not be read. */
export type RpcId = string | number | null;

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: Json;
}

export type MessageKind = 'request' | 'notification' | 'response';

/**
 * One JSON-RPC message: what it is, and its own text. The text is authoritative: what passes is cut out of it and
 * spliced into it (`spliceMessage`), never made anew from the parsed value, so numbers, key order and escapes survive.
 */
export interface Message {
  readonly kind: MessageKind;
  /** The message's JSON text, verbatim. */
  readonly text: string;
  /** The parsed value, for reading. */
  readonly value: JsonObject;
  /** Requests and responses. */
  readonly id?: RpcId;
  /** The id's own JSON text (`1`, `"1"`, `1.0` are three ids). */
  readonly idText?: string;
  /** Requests and notifications. */
  readonly method?: string;
}
