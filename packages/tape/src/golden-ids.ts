import { type Edit, META_SUBSCRIPTION, type Message, spliceMessage, textAt } from '@shadowcat/wire';
import type { Item } from './golden-lane.js';
import type { HttpRecord, Sender, SseInfo } from './records.js';

const REQUEST_TOKEN: readonly string[] = ['params', '_meta', 'progressToken'];
const PROGRESS_TOKEN: readonly string[] = ['params', 'progressToken'];
/** What a server of 2026-07-28 gives with a question, and wants back with the answers. Opaque by the specification. */
const STATES: readonly (readonly string[])[] = [
  ['result', 'requestState'],
  ['params', 'requestState'],
];
/** A shorter one may be part of another by chance. */
const LONG_STATE = 8;
const CANCELLED_ID: readonly string[] = ['params', 'requestId'];
/** Trace context (W3C) is another one each time; a receiver ignores these. */
const TRACES: readonly Edit[] = [
  { path: ['params', '_meta', 'traceparent'], json: '"00-00000000000000000000000000000001-0000000000000001-00"' },
  { path: ['params', '_meta', 'tracestate'], json: '""' },
  { path: ['params', '_meta', 'baggage'], json: '""' },
];
const OTHER: Readonly<Record<Sender, Sender>> = { client: 'server', server: 'client' };

/** Numbers what is another one in each recording by first appearance; equal values stay equal. */
class Numbers {
  readonly #known = new Map<string, string>();

  /** The number for a JSON text that is a number or a string: whether ids are text is the sender's business. */
  of(json: string): string {
    let number = this.#known.get(json);
    if (number === undefined) {
      number = String(this.#known.size + 1);
      this.#known.set(json, number);
    }
    return number;
  }

  /** All so far: JSON text and number, first to last. */
  entries(): Iterable<[string, string]> {
    return this.#known;
  }

  /** The one that was given before, if there is one. */
  known(json: string): string | undefined {
    return this.#known.get(json);
  }
}

/** The ids of one lane: of requests by who sent them, of progress tokens, of SSE events. */
export class LaneIds {
  readonly #ids: Readonly<Record<Sender, Numbers>> = { client: new Numbers(), server: new Numbers() };
  readonly #tokens: Readonly<Record<Sender, Numbers>> = { client: new Numbers(), server: new Numbers() };
  readonly #states = new Numbers();
  readonly #events = new Numbers();
  readonly #resumes: boolean;

  /** @param resumes whether a client of the lane came back to a stream, with the id of an event */
  constructor(resumes: boolean) {
    this.#resumes = resumes;
  }

  /** The text of a `msg` record with these ids in it; every other byte stays. */
  message({ record, message }: Item): string {
    if (record.k !== 'msg') return '';
    if (message === undefined) return record.text;
    return spliceMessage(record.text, [
      ...this.#idEdits(message, record.from),
      ...this.#tokenEdits(message, record.from),
      ...this.#subscriptionEdits(message),
      ...this.#stateEdits(message.text),
      ...TRACES,
    ]);
  }

  /**
   * The framing of an event. Its id says where a client that comes back goes on: it is kept where one came back, and nobody
   * else's business. `undefined`: nothing is left that means something.
   */
  sse({ id, event, retry }: SseInfo): SseInfo | undefined {
    const kept: SseInfo = {
      ...(this.#resumes && id !== undefined && id !== '' ? { id: this.#event(id) } : {}),
      ...(event === undefined || event === 'message' ? {} : { event }),
      ...(retry === undefined ? {} : { retry }),
    };
    return Object.keys(kept).length === 0 ? undefined : kept;
  }

  headers(headers: HttpRecord['headers']): HttpRecord['headers'] {
    const last = headers['last-event-id'];
    return last === undefined ? headers : { ...headers, 'last-event-id': this.#event(last) };
  }

  #event(id: string): string {
    return this.#events.of(JSON.stringify(id));
  }

  #idEdits({ kind, idText, method, text }: Message, from: Sender): Edit[] {
    const path = ['id'];
    if (idText !== undefined && idText !== 'null' && kind !== 'notification') {
      return [{ path, json: this.#ids[kind === 'request' ? from : OTHER[from]].of(idText) }];
    }
    if (method !== 'notifications/cancelled') return [];
    const cancelled = textAt(text, CANCELLED_ID);
    return isScalar(cancelled) ? [{ path: CANCELLED_ID, json: this.#ids[from].of(cancelled) }] : [];
  }

  #tokenEdits({ kind, method, text }: Message, from: Sender): Edit[] {
    const progress = method === 'notifications/progress';
    if (kind !== 'request' && !progress) return [];
    const path = progress ? PROGRESS_TOKEN : REQUEST_TOKEN;
    const token = textAt(text, path);
    const asker = progress ? OTHER[from] : from;
    return isScalar(token) ? [{ path, json: this.#tokens[asker].of(token) }] : [];
  }

  #stateEdits(text: string): Edit[] {
    if (!text.includes('"requestState"')) return [];
    return STATES.flatMap((path) => {
      const state = textAt(text, path);
      return state === undefined ? [] : [{ path, json: this.#state(state, path[0] === 'params') }];
    });
  }

  /** A client that changes a state, to see it refused, keeps most of it: what it makes of one it was given is no new one. */
  #state(state: string, brought: boolean): string {
    if (brought && this.#states.known(state) === undefined && state.startsWith('"')) {
      const inner = state.slice(1, -1);
      for (const [given, number] of this.#states.entries()) {
        const part = given.slice(1, -1);
        if (given.startsWith('"') && part.length >= LONG_STATE && inner.includes(part))
          return `"${inner.replace(part, () => `state-${number}`)}"`;
      }
    }
    return `"state-${this.#states.of(state)}"`;
  }

  /** What a listening stream sends is tagged with the id of its request, as it is or as a string. */
  #subscriptionEdits({ text }: Message): Edit[] {
    if (!text.includes(META_SUBSCRIPTION)) return [];
    return ['params', 'result'].flatMap((member) => {
      const path = [member, '_meta', META_SUBSCRIPTION];
      const json = this.#subscription(textAt(text, path));
      return json === undefined ? [] : [{ path, json }];
    });
  }

  #subscription(tag: string | undefined): string | undefined {
    if (!isScalar(tag)) return undefined;
    const isText = tag.startsWith('"');
    const number = this.#ids.client.known(tag) ?? (isText ? this.#ids.client.known(tag.slice(1, -1)) : undefined);
    return isText && number !== undefined ? `"${number}"` : number;
  }
}

/** Whether it can be an id: a string or a number. */
function isScalar(json: string | undefined): json is string {
  return json !== undefined && /^["\d-]/.test(json);
}
