import { postRaw, sseEvents } from './raw-mcp.js';

/** A client of the legacy HTTP+SSE pair by hand. Dispose it to leave. */
export class RawPair {
  readonly #endpoint: string;
  readonly #messages: AsyncGenerator<string>;
  readonly #abort: AbortController;

  private constructor(endpoint: string, messages: AsyncGenerator<string>, abort: AbortController) {
    this.#endpoint = endpoint;
    this.#messages = messages;
    this.#abort = abort;
  }

  /** @param url of the event stream, such as `http://host/sse` */
  static async open(url: string): Promise<RawPair> {
    const abort = new AbortController();
    const events = sseEvents(await fetch(url, { headers: { accept: 'text/event-stream' }, signal: abort.signal }));
    const first = await events.next();
    if (first.done === true) throw new Error(`no endpoint from ${url}`);
    return new RawPair(new URL(first.value.data, url).href, textsOf(events), abort);
  }

  async send(message: unknown): Promise<void> {
    const answer = await postRaw(this.#endpoint, JSON.stringify(message));
    await answer.arrayBuffer();
    if (answer.status !== 202) throw new Error(`HTTP ${answer.status} for a message`);
  }

  /** The next message on the stream. @throws when the stream has ended instead */
  async text(): Promise<string> {
    const next = await this.#messages.next();
    if (next.done === true) throw new Error('the event stream ended');
    return next.value;
  }

  [Symbol.dispose](): void {
    this.#abort.abort();
  }
}

async function* textsOf(events: ReturnType<typeof sseEvents>): AsyncGenerator<string> {
  for await (const { data } of events) yield data;
}
