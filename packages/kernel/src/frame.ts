const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** What an SSE event carries besides its data (WHATWG HTML, 9.2). `comment` is a comment line without its colon. */
export interface SseFields {
  readonly id?: string;
  readonly event?: string;
  readonly retry?: number;
  readonly comment?: string;
}

/** How a frame is made: from a message's text, from the bytes it arrived in, or from both. */
export interface FrameParts {
  /** The message's own JSON text. `null` says that this frame holds no message (a comment, a priming event). */
  readonly text?: string | null;
  /** The bytes as they arrived, framing included. A frame that has them is sent on with them. */
  readonly bytes?: Uint8Array;
  readonly sse?: SseFields;
}

/**
 * One protocol message inside a body: its wire text, the bytes it came with, and the parsed message, made on first use
 * and once, however many layers read it. Immutable; to change a frame is to {@link Frame.replace} it.
 */
export class Frame {
  readonly bytes: Uint8Array | undefined;
  readonly sse: SseFields | undefined;
  #text: string | null | undefined;
  #parsed = false;
  #message: unknown;

  constructor(parts: FrameParts) {
    this.bytes = parts.bytes;
    this.sse = parts.sse;
    this.#text = parts.text;
  }

  /** The message's JSON text, verbatim; `undefined` when the frame holds no message. */
  get text(): string | undefined {
    if (this.#text === undefined) this.#text = this.bytes === undefined ? null : decoder.decode(this.bytes);
    return this.#text ?? undefined;
  }

  /** The parsed message; `undefined` when there is none or its text is no JSON. Never throws. Do not mutate. */
  get message(): unknown {
    if (!this.#parsed) {
      this.#parsed = true;
      const text = this.text;
      if (text !== undefined && text !== '') this.#message = parseOrUndefined(text);
    }
    return this.#message;
  }

  /** The same place in the stream (SSE id, event, retry) with another message; it will be serialised anew. */
  replace(text: string): Frame {
    return new Frame(this.sse === undefined ? { text } : { text, sse: this.sse });
  }
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
