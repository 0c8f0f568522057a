import type { JsonObject } from '@shadowcat/wire';

/** The version of the format that is written, and the newest that is read. */
export const TAPE_VERSION = 1;

/** `capture` is written live; `golden` is the form to commit (no clock, renumbered ids). */
export type TapeForm = 'capture' | 'golden';
/** What one tape holds: one session's traffic, what belongs to no session, or everything. */
export type TapeScope = 'session' | 'sessionless' | 'all';
export type Sender = 'client' | 'server';

/** How an exchange ended. `open-at-end`: it had not when the recording did. */
export const EXCHANGE_ENDS = [
  'answered',
  'error',
  'cancelled-by-client',
  'closed-by-client',
  'closed-by-server',
  'reset',
  'open-at-end',
] as const;
export type ExchangeEnd = (typeof EXCHANGE_ENDS)[number];

/** The lane of traffic without a session. The lanes of sessions are `s1`, `s2`, …, by first appearance. */
export const NO_SESSION = '-';

interface Line {
  /** Where the record stands in its file, from 1. */
  readonly line: number;
  /** Microseconds since the record before it that has a `t`; negative only in the golden form, where most have none. */
  readonly t?: number;
  /** Members that this version does not know; a rewrite keeps them. */
  readonly extra?: JsonObject;
}
/** Of an exchange: its lane `s`, and `x`, its name within the tape. */
interface OfExchange extends Line {
  readonly s: string;
  readonly x: string;
}

export interface HeadRecord extends Line {
  readonly k: 'head';
  readonly v: number;
  readonly form: TapeForm;
  /** Features a reader has to know, or refuse the tape. */
  readonly requires: readonly string[];
  readonly scope?: TapeScope;
  /** When the recording began, ISO 8601. */
  readonly at?: string;
  /** What wrote the tape. */
  readonly by?: string;
  /** Which process records it: its number and a fingerprint. So that others leave it alone while it does. */
  readonly process?: string;
  /** The redaction rules, and which key made the placeholders: a fingerprint. Without any on a golden tape, no key. */
  readonly redaction?: { readonly policy: string; readonly key?: string };
}
export interface ConnRecord extends Line {
  readonly k: 'conn';
  readonly s: string;
  readonly event: 'opened' | 'closed';
  readonly by: Sender | 'proxy';
}
export interface SessRecord extends Line {
  readonly k: 'sess';
  readonly s: string;
  readonly era: 'legacy' | 'modern';
  readonly version?: string;
  readonly client?: JsonObject;
  readonly server?: JsonObject;
  /** The session is older than the recording; `result` is what its `initialize` was answered. */
  readonly resumed?: boolean;
  readonly result?: JsonObject;
}
/** A message. `text` is the record's member `m`: the wire's own JSON text, except that line breaks are spaces. */
export interface MsgRecord extends OfExchange {
  readonly k: 'msg';
  readonly from: Sender;
  readonly batch?: boolean;
  readonly sse?: SseInfo;
  /** Values of the message that lie beside the tape; `text` has empty strings in their place. */
  readonly blobs?: readonly BlobPointer[];
  readonly text: string;
}
/** A string of a message that is kept as a file of its own, `blobs/<sha, 2 digits>/<the rest>.<type>` beside the tape. */
export interface BlobPointer {
  /** JSON Pointer (RFC 6901) into the message. */
  readonly at: string;
  /** SHA-256 of the file's bytes, lower-case hex. */
  readonly sha: string;
  /** How the file's name ends. */
  readonly type: string;
  /** What the bytes are: what the base64 stands for, the string as UTF-8, or its JSON text. */
  readonly as: 'base64' | 'text' | 'json';
}
export interface SseInfo {
  readonly id?: string;
  readonly event?: string;
  readonly retry?: number;
}
/** A request head (`method`, `target`) or a reply head (`status`); of the headers, those on the allow-list. */
export interface HttpRecord extends OfExchange {
  readonly k: 'http';
  readonly from: Sender;
  readonly method?: string;
  readonly target?: string;
  readonly status?: number;
  /** The configured upstream that answered. */
  readonly upstream?: string;
  readonly headers: Readonly<Record<string, string>>;
}
/** An SSE event without a message, such as the priming event. */
export interface SseRecord extends OfExchange {
  readonly k: 'sse';
  readonly sse: SseInfo;
}
export interface ExitRecord extends OfExchange {
  readonly k: 'x-';
  readonly end: ExchangeEnd;
  /** Of the proxy's own error, when the client was told that instead of an answer; the message only where `end` is `error`. */
  readonly code?: string;
  readonly message?: string;
}
/** Text that is no message: `raw` is a body or a line of stdout, `err` is stderr, `note` says what the proxy did. */
export interface TextRecord extends Line {
  readonly k: 'raw' | 'err' | 'note';
  readonly s: string;
  readonly x?: string;
  readonly from?: Sender;
  /** Why it is here although it should be a message. */
  readonly why?: string;
  readonly text: string;
}
export interface GapRecord extends Line {
  readonly k: 'gap';
  readonly lost: number;
  readonly why: string;
}
export interface CkptRecord extends Line {
  readonly k: 'ckpt';
  readonly lines: number;
  readonly sha: string;
}
export interface EndRecord extends Line {
  readonly k: 'end';
  /** Lines before this one. */
  readonly lines: number;
  readonly lost: number;
  /** Written by `tape recover`: what came after is not known. */
  readonly recovered?: boolean;
  readonly sha: string;
}
/** A kind this reader does not know and need not know: kept as it is. */
export interface OtherRecord extends Line {
  readonly k: 'other';
  readonly kind: string;
  readonly text: string;
}

export type TapeRecord =
  | HeadRecord
  | ConnRecord
  | SessRecord
  | MsgRecord
  | HttpRecord
  | SseRecord
  | ExitRecord
  | TextRecord
  | GapRecord
  | CkptRecord
  | EndRecord
  | OtherRecord;

/** Something about a tape that a user has to know. Only `gap` leaves a tape usable. `edited`: a golden tape whose digest is not its own. */
export interface TapeProblem {
  readonly kind: 'truncated' | 'invalid' | 'corrupt' | 'edited' | 'gap';
  readonly line: number;
  readonly message: string;
}

/** A tape as it was read: plain data. `records` end where the tape stops making sense; `problems` say why. */
export interface Tape {
  /** For messages: usually the path. */
  readonly name: string;
  readonly head: HeadRecord;
  readonly records: readonly TapeRecord[];
  readonly end: EndRecord | undefined;
  readonly problems: readonly TapeProblem[];
  /** How many bytes from the start are whole lines that were understood. */
  readonly sound: number;
}
