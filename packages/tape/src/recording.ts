import type { JsonObject, Message } from '@shadowcat/wire';
import type { ExchangeEnd } from './records.js';

/** Where something stands on a tape, for messages: `file:line`. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** The place as users see it. */
export function placeText(place: Place): string {
  return `${place.file}:${place.line}`;
}

/** A message that the server sent. `order` counts the messages of its lane. */
export interface Step {
  readonly kind: 'notification' | 'request' | 'response';
  /** The message's JSON text, verbatim. */
  readonly text: string;
  readonly value: JsonObject;
  readonly method: string | undefined;
  readonly idText: string | undefined;
  readonly place: Place;
  readonly order: number;
  /** Orders of what came before and has to come before again: for messages that answer nothing. */
  readonly after: readonly number[];
  /** Server requests whose recorded answers came before this. */
  readonly awaits: readonly Step[];
  /** Milliseconds that had passed since what came right before it. 0 on a tape without a clock. */
  readonly gapMs: number;
  /** Of a server request: what the recorded client answered, and when: its order, and milliseconds on the tape's clock. */
  answer: { readonly text: string; readonly place: Place; readonly order: number; readonly at: number } | undefined;
}

/** A client's request and all that came of it. */
export interface Recording {
  readonly method: string;
  /** Tool or prompt name, resource URI, completion reference: where the method has one. */
  readonly target: string | undefined;
  /** Method, target and canonical parameters: equal for requests that ask the same. */
  readonly key: string;
  /** Of a retry with answers (2026-07-28): the key without what was answered. */
  readonly retryKey: string | undefined;
  readonly message: Message;
  readonly progressToken: string | undefined;
  readonly modern: boolean;
  readonly place: Place;
  readonly order: number;
  /** What all messages of one body have alike, when that was a batch (2025-03-26): the order of the first. */
  readonly batch: number | undefined;
  readonly steps: readonly Step[];
  readonly answer: Step | undefined;
  readonly status: number;
  /** Whether the answer came as an event stream, and when its server wanted its client back, in milliseconds. */
  readonly streamed: boolean;
  readonly retryMs: number | undefined;
  /** A reply that was no JSON-RPC. */
  readonly raw: { readonly text: string; readonly contentType: string } | undefined;
  /** Whether the stream was closed without the answer, which a later one brought (2025-11-25: the client polls). */
  readonly polled: boolean;
  /** Of one operation in several requests (2026-07-28, `input_required`): the request before, and the one after. */
  readonly previous: Recording | undefined;
  readonly next: Recording | undefined;
  readonly exit: { readonly end: ExchangeEnd; readonly code?: string; readonly message?: string } | undefined;
}

/** A notification of the client's: accepted in any order, and what others wait for. */
export interface ClientNotice {
  readonly method: string;
  readonly order: number;
  /** The message's JSON text, verbatim. */
  readonly text: string;
  /** As of {@link Recording.batch}. */
  readonly batch: number | undefined;
}

/** The recorded traffic of one session, or of everything without one. */
export interface RecordedLane {
  /** `s1`, `s2`, … or `-`. */
  readonly name: string;
  readonly file: string;
  readonly recordings: readonly Recording[];
  readonly byKey: ReadonlyMap<string, readonly Recording[]>;
  /** The methods of the recordings. */
  readonly methods: ReadonlySet<string>;
  /** By method, in order. */
  readonly notices: ReadonlyMap<string, readonly ClientNotice[]>;
  /** What came on standing streams (GET), in order. */
  readonly stream: readonly Step[];
  /** The status that a standing stream was answered with; `undefined` when none was asked for. */
  readonly streamStatus: number | undefined;
  /** When the server wanted clients of such a stream back, in milliseconds. */
  readonly streamRetryMs: number | undefined;
  /** `list_changed` notifications, wherever they came. */
  readonly changes: readonly Step[];
  /** Whether the recording was cut short, so that what is missing may have happened. */
  readonly truncated: boolean;
}

/** Everything that a replay can serve. */
export interface Library {
  readonly sessions: readonly RecordedLane[];
  readonly sessionless: RecordedLane;
  /** Fingerprints of the keys that made the tapes' placeholders. */
  readonly keyIds: ReadonlySet<string>;
  /** Whether a tape says when things happened. */
  readonly timed: boolean;
}
