import { type Clock, type Exchange, type Log, ProxyError, type Timer } from '@shadowcat/kernel';
import { type JsonObject, type Message, objectAt, post, readMessage } from '@shadowcat/wire';
import type { CombineMember } from './contract.js';
import type { OwnRequests } from './own-request.js';

export interface MemberListeningParts {
  readonly member: CombineMember;
  readonly client: Exchange;
  /** What to listen for, as JSON. */
  readonly filterText: string;
  readonly requests: OwnRequests;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** A notification of the member, with its own tag. */
  readonly heard: (message: Message) => void;
  /** The member can be listened to again after a break, in which anything may have changed. */
  readonly back: () => void;
}

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
/** A stream that lasted this long was no failure. */
const STEADY_MS = 30_000;

/** What became of one `subscriptions/listen` request. */
type Outcome = 'over' | 'broken';

/** Listens to one member on behalf of one client, again and again, until it is closed or the member has nothing to announce. */
export class MemberListening {
  readonly #parts: MemberListeningParts;
  readonly #abort = new AbortController();
  readonly #acknowledged = Promise.withResolvers<JsonObject>();
  readonly #running: Promise<void>;
  #pause: { readonly timer: Timer; readonly wake: () => void } | undefined;
  /** Whether it could not be listened to for a while. */
  #broken = false;

  constructor(parts: MemberListeningParts) {
    this.#parts = parts;
    this.#running = this.#run();
  }

  /** What the member promised to announce, once it has; an empty object when it will not announce anything. */
  get acknowledged(): Promise<JsonObject> {
    return this.#acknowledged.promise;
  }

  /** Resolves when nothing of it is left. Never rejects. */
  async close(): Promise<void> {
    this.#abort.abort(new ProxyError('cancelled', 'nobody listens any more'));
    this.#pause?.timer.cancel();
    this.#pause?.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, random, member, log } = this.#parts;
    let failures = 0;
    while (!this.#abort.signal.aborted) {
      const started = clock.now();
      let outcome: Outcome = 'broken';
      try {
        outcome = await this.#listen();
      } catch (error) {
        if (!this.#abort.signal.aborted) log.debug({ member: member.name, err: error }, 'a subscription broke off');
      }
      if (outcome === 'over') break;
      this.#broken = true;
      if (clock.now() - started >= STEADY_MS) failures = 0;
      const ceiling = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
      failures = Math.min(failures + 1, 16);
      await this.#wait(FIRST_PAUSE_MS + random() * (ceiling - FIRST_PAUSE_MS));
    }
    this.#acknowledged.resolve({});
  }

  /** One request, to the end of its stream. */
  async #listen(): Promise<Outcome> {
    const { member, client, filterText, requests, heard } = this.#parts;
    const { signal } = this.#abort;
    const params = { notifications: filterText };
    const posted = await post(
      member.handler,
      requests.make({ client, method: 'subscriptions/listen', params, signal }),
    );
    if (posted.kind === 'refused') return FINAL_STATUS.has(posted.reply.head.status) ? 'over' : 'broken';
    if (posted.kind === 'answer') return isFinal(posted.message) ? 'over' : 'broken';
    await using stream = posted.reply;
    const stop = (): void => void Promise.resolve(stream[Symbol.asyncDispose]()).catch(() => undefined);
    signal.addEventListener('abort', stop, { once: true });
    try {
      let idle = false;
      for await (const { text } of stream.body.frames()) {
        if (signal.aborted) return 'broken';
        const message = text === undefined || text === '' ? undefined : readMessage(text);
        if (message?.method === 'notifications/subscriptions/acknowledged') idle = this.#acknowledge(message);
        else if (message?.kind === 'notification') heard(message);
        else if (message?.kind === 'response') return idle || isFinal(message) ? 'over' : 'broken';
      }
      return 'broken';
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Says whether nothing will come. */
  #acknowledge(message: Message): boolean {
    const honoured = objectAt(objectAt(message.value, 'params'), 'notifications') ?? {};
    this.#acknowledged.resolve(honoured);
    if (this.#broken) this.#parts.back();
    this.#broken = false;
    return Object.keys(honoured).length === 0;
  }

  #wait(ms: number): Promise<void> {
    if (this.#abort.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#pause = undefined;
        resolve();
      };
      this.#pause = { timer: this.#parts.clock.timer(ms, done), wake: done };
    });
  }
}

/** Statuses of a member that has no subscriptions, and will have none the next time. */
const FINAL_STATUS: ReadonlySet<number> = new Set([401, 403, 404, 405]);
const FINAL_CODE: ReadonlySet<unknown> = new Set([-32601, -32602]);

function isFinal(message: Message): boolean {
  return FINAL_CODE.has(objectAt(message.value, 'error')?.['code']);
}
