import { type Body, Context, type Exchange, ProxyError, type RequestHead, type Slot } from '@shadowcat/kernel';

/** What is noted about one of several attempts at the same exchange; the exchange hears of it once the attempt has won. */
class LegContext extends Context {
  readonly #original: Context;
  readonly #own = new Map<Slot<unknown>, unknown>();
  #won = false;

  constructor(original: Context) {
    super();
    this.#original = original;
  }

  override get<T>(key: Slot<T>): T | undefined {
    return this.#own.has(key) ? (this.#own.get(key) as T | undefined) : this.#original.get(key);
  }

  override set<T>(key: Slot<T>, value: T): void {
    if (this.#won) this.#original.set(key, value);
    else this.#own.set(key, value);
  }

  win(): void {
    for (const [key, value] of this.#own) this.#original.set(key, value);
    this.#own.clear();
    this.#won = true;
  }
}

/** One of several attempts at an exchange that run at the same time: it can be given up alone. */
export class Leg implements Exchange {
  readonly id: string;
  readonly head: RequestHead;
  readonly body: Body;
  readonly context: Context;
  readonly #context: LegContext;
  readonly #original: AbortSignal;
  readonly #controller = new AbortController();
  readonly #pass = (): void => this.#controller.abort(this.#original.reason);

  constructor(original: Exchange) {
    this.id = original.id;
    this.head = original.head;
    this.body = original.body;
    this.#context = new LegContext(original.context);
    this.context = this.#context;
    this.#original = original.signal;
    if (this.#original.aborted) this.#pass();
    else this.#original.addEventListener('abort', this.#pass);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Its answer is the exchange's. */
  win(): void {
    this.#context.win();
  }

  /** Another one was faster. */
  lose(): void {
    this.end();
    this.#controller.abort(new ProxyError('cancelled', 'another attempt was answered first'));
  }

  /** Nothing of it is under way any more. */
  end(): void {
    this.#original.removeEventListener('abort', this.#pass);
  }
}
