import type { HeaderMap } from '@shadowcat/kernel';
import type { Sender } from '../records.js';

/** What can be made a tape of. */
export const IMPORT_FORMATS = ['har', 'mitmproxy', 'stdio-log'] as const;
export type ImportFormat = (typeof IMPORT_FORMATS)[number];

/** An HTTP exchange as a file of another tool has it. Times are milliseconds since the Unix epoch; header names are in lower case. */
export interface ImportedExchange {
  /** Where it stands in its file, for messages: `entry 12`, `flow 3 at byte 4711`. */
  readonly where: string;
  readonly method: string;
  /** Absolute. */
  readonly url: string;
  readonly headers: HeaderMap;
  /** `undefined`: there was none, or the file does not have it. */
  readonly body: Uint8Array | undefined;
  readonly at: number | undefined;
  readonly response: ImportedResponse | undefined;
  /** Who broke it off, if somebody did; `open`: it had not ended when the file did. */
  readonly broken: 'client' | 'server' | 'open' | undefined;
  /** What passed on a WebSocket that it became. */
  readonly frames?: readonly ImportedLine[];
}

/** Its answer. `body` is decoded: no chunks, no compression. */
export interface ImportedResponse {
  readonly status: number;
  readonly headers: HeaderMap;
  readonly body: Uint8Array | undefined;
  readonly at: number | undefined;
  readonly endAt: number | undefined;
  /** The events of a stream, where the file keeps them one by one. */
  readonly events?: readonly ImportedEvent[];
  /** When each event of `body` came, where the file says so. */
  readonly eventTimes?: readonly number[];
}

export interface ImportedEvent {
  readonly at: number | undefined;
  readonly text: string;
  readonly id: string | undefined;
  readonly event: string | undefined;
}

/** A message on a line: stdin and stdout, or a WebSocket. */
export interface ImportedLine {
  readonly where: string;
  readonly at: number | undefined;
  /** `undefined`: the file does not say. `stderr`: no message, text. */
  readonly from: Sender | 'stderr' | undefined;
  readonly text: string;
}

/** Undoes `content-encoding`. Throws when it cannot, or when more comes out than a message may have; `tape_invalid` when all bodies together are too much. */
export type Decode = (bytes: Uint8Array, encoding: string) => Uint8Array;
