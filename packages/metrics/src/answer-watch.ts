import { Body, type ByteSource } from '@shadowcat/kernel';
import { readLine } from '@shadowcat/wire';
import type { Outcome } from './outcome.js';

/** Larger pieces are not looked into: their outcome is what the status says. */
const LOOK_INTO = 65_536;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * What the piece of an answer says about its outcome; `undefined` when it holds no final answer, or none that can be told.
 * Most pieces are decided by two searches in their text, without parsing: inside JSON strings every quote has a backslash
 * before it, so that `"error"` and `"isError"` are found as keys only (or as whole values; the parse tells).
 */
export function outcomeOf(bytes: Uint8Array, framing: 'json' | 'sse'): Outcome | undefined {
  if (bytes.length > LOOK_INTO) return undefined;
  const text = decoder.decode(bytes);
  if (text.includes('"error"') || text.includes('"isError"')) return parsedOutcome(text, framing);
  return text.includes('"result"') ? 'ok' : undefined;
}

function parsedOutcome(text: string, framing: 'json' | 'sse'): Outcome | undefined {
  const lines = framing === 'json' ? [text] : dataOf(text);
  let outcome: Outcome | undefined;
  for (const line of lines) {
    for (const { kind, value } of readLine(line)) {
      if (kind !== 'response') continue;
      if (value['error'] !== undefined) return 'error';
      const { result } = value;
      const failed = typeof result === 'object' && result !== null && 'isError' in result && result.isError === true;
      outcome = failed || outcome === 'tool_error' ? 'tool_error' : 'ok';
    }
  }
  return outcome;
}

/** The data of events; of one that has it on several lines the lines, which then are no messages. */
function dataOf(text: string): string[] {
  return text.split(/\r\n|\r|\n/).flatMap((line) => (line.startsWith('data:') ? [line.slice(5)] : []));
}

/** Who is told what a body said on its way, once it ended or was given up. */
export interface AnswerSink {
  /** The first outcome that an answer in the body had; the last word on a batch. */
  answered(outcome: Outcome): void;
  failed(error: unknown): void;
  ended(): void;
}

/**
 * The same bytes, piece by piece as they come, looked at in passing: no piece is kept, cut or delayed. Without `look` only
 * the end is of interest. Of the body's framing
 * nothing is asked, because the limits that its decoder has are not for those who only count.
 */
export function watched(body: Body, sink: AnswerSink, { look = true }: { readonly look?: boolean } = {}): Body {
  const framing = body.framing.name === 'sse' ? 'sse' : 'json';
  const source: ByteSource = {
    [Symbol.asyncIterator]: () => new Watch(body.bytes()[Symbol.asyncIterator](), look ? framing : undefined, sink),
  };
  return Body.stream(source, body.framing);
}

class Watch implements AsyncIterator<Uint8Array> {
  readonly #bytes: AsyncIterator<Uint8Array>;
  readonly #framing: 'json' | 'sse' | undefined;
  readonly #sink: AnswerSink;
  readonly #look = (result: IteratorResult<Uint8Array>): IteratorResult<Uint8Array> => this.#pass(result);
  readonly #fail = (error: unknown): never => {
    this.#sink.failed(error);
    throw error;
  };

  constructor(bytes: AsyncIterator<Uint8Array>, framing: 'json' | 'sse' | undefined, sink: AnswerSink) {
    this.#bytes = bytes;
    this.#framing = framing;
    this.#sink = sink;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    return this.#bytes.next().then(this.#look, this.#fail);
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    return this.#bytes.return?.() ?? Promise.resolve({ done: true, value: undefined });
  }

  #pass(result: IteratorResult<Uint8Array>): IteratorResult<Uint8Array> {
    if (result.done === true) this.#sink.ended();
    else if (this.#framing !== undefined) {
      const outcome = outcomeOf(result.value, this.#framing);
      if (outcome !== undefined) this.#sink.answered(outcome);
    }
    return result;
  }
}
