import {
  Body,
  type Clock,
  type Exchange,
  overlaid,
  ProxyError,
  type Reply,
  withExchange,
  withHeaders,
} from '@shadowcat/kernel';
import {
  asObject,
  type Call,
  callSlot,
  classify,
  type Edit,
  failureText,
  jsonFraming,
  jsonReply,
  type Message,
  modernHeaders,
  readMessage,
  spliceMessage,
} from '@shadowcat/wire';
import type { Audience } from './audience.js';
import type { CombineMember } from './contract.js';
import type { Kind } from './kinds.js';
import type { Lists } from './lists.js';
import type { Owner } from './naming.js';
import type { Patience } from './patience.js';
import { type Tried, tried } from './tried.js';

const INVALID_PARAMS = -32602;
const UNKNOWN_METHOD = -32601;
const encoder = new TextEncoder();

/** A request, who asks, and what is known of the members' lists. */
export interface Asked {
  readonly exchange: Exchange;
  readonly call: Call;
  readonly message: Message;
  readonly audience: Audience;
}

export interface CallsParts {
  readonly members: readonly CombineMember[];
  readonly lists: Lists;
  readonly patience: Patience;
  readonly clock: Clock;
}

/** Sends requests that are for one member to that member. */
export class Calls {
  readonly #parts: CallsParts;

  constructor(parts: CallsParts) {
    this.#parts = parts;
  }

  /** `tools/call` and `prompts/get`, and completions of a prompt: by a name that stands at `path`. */
  async named(asked: Asked, kind: 'tools' | 'prompts', path: readonly string[]): Promise<Reply> {
    const { exchange, message, audience } = asked;
    const name = path.reduce<unknown>((value, step) => asObject(value)?.[step], message.value);
    if (typeof name !== 'string') return invalid(message, `params has no ${path.slice(1).join('.')}`);
    let owner = audience.owner(kind, name);
    if (owner === undefined) {
      await this.#parts.lists.get(kind, exchange, audience);
      owner = audience.owner(kind, name) ?? this.#inFront(name);
    }
    const member = owner && this.#member(owner.member);
    if (owner === undefined || member === undefined) {
      const what = kind === 'tools' ? 'tool' : 'prompt';
      return invalid(message, `Unknown ${what}: ${name} (${this.#whoHasNot(kind, audience)})`);
    }
    if (owner.key === name) return member.handler(exchange);
    return member.handler(rewritten(asked, [{ path, json: JSON.stringify(owner.key) }]));
  }

  /** `resources/read`, and completions of a resource template. One that nobody lists is asked for everywhere. */
  async byUri(asked: Asked, uri: unknown): Promise<Reply> {
    const { exchange, message, audience } = asked;
    if (typeof uri !== 'string') return invalid(message, 'params has no uri');
    let owner = audience.ownerOf(uri);
    if (owner === undefined && !this.#listed(audience)) {
      const lists = (['resources', 'templates'] as const).map((kind) =>
        this.#parts.lists.get(kind, exchange, audience),
      );
      // Whoever cannot list can be asked all the same.
      await Promise.allSettled(lists);
      owner = audience.ownerOf(uri);
    }
    const member = owner === undefined ? undefined : this.#member(owner);
    return member === undefined ? this.inTurn(asked) : member.handler(exchange);
  }

  /**
   * Asks one member after the other until one does not answer with an error. For what is safe to ask of the wrong one. Those
   * that were slow come last, and are waited for no longer than a list would be.
   */
  async inTurn({ exchange, message }: Asked): Promise<Reply> {
    const { members, patience } = this.#parts;
    const slow = members.filter(({ name }) => patience.isSlow(name));
    let refusal: Reply | undefined;
    let unknown: Reply | undefined;
    let failure: unknown;
    for (const member of [...members.filter((one) => !slow.includes(one)), ...slow]) {
      try {
        const { reply, error } = await (slow.includes(member)
          ? this.#inTime(member, exchange)
          : tried(member, exchange));
        if (error === undefined) return reply;
        // Who does not know the method has less to say than who does not have the thing.
        if (error['code'] === UNKNOWN_METHOD) unknown ??= reply;
        else refusal ??= reply;
      } catch (error) {
        failure ??= error;
      }
      if (exchange.signal.aborted) throw ProxyError.from(exchange.signal.reason, 'cancelled');
    }
    // A member that could not be asked may be the one that has it.
    if (failure !== undefined) throw failure;
    return refusal ?? unknown ?? invalid(message, 'nobody answers it');
  }

  async #inTime(member: CombineMember, exchange: Exchange): Promise<Tried> {
    const { clock, patience } = this.#parts;
    const late = new AbortController();
    const error = new ProxyError(
      'upstream_timeout',
      `${member.name} does not answer at the moment, and may be who has it`,
    );
    const timer = clock.timer(patience.limitMs, () => late.abort(error));
    const { id, head, body, context } = exchange;
    const signal = AbortSignal.any([exchange.signal, late.signal]);
    try {
      return await tried(member, { id, head, body, context, signal });
    } finally {
      timer.cancel();
    }
  }

  #member(name: string): CombineMember | undefined {
    return this.#parts.members.find((member) => member.name === name);
  }

  /** A name that nobody lists, with a member's in front: that member knows whether it has it. */
  #inFront(name: string): Owner | undefined {
    const fitting = this.#parts.members.filter((member) => name.startsWith(`${member.name}_`));
    const [first] = fitting.toSorted((one, other) => other.name.length - one.name.length);
    return first && { member: first.name, key: name.slice(first.name.length + 1) };
  }

  #whoHasNot(kind: Kind, audience: Audience): string {
    const names = (known: boolean): string =>
      this.#parts.members
        .filter(({ name }) => (audience.known(name, kind) !== undefined) === known)
        .map(({ name }) => name)
        .join(', ');
    const silent = names(false);
    return `none of ${names(true)} has it${silent === '' ? '' : `; not known of ${silent}, which cannot be asked now`}`;
  }

  #listed(audience: Audience): boolean {
    return this.#parts.members.every(
      ({ name }) => audience.known(name, 'resources') !== undefined && audience.known(name, 'templates') !== undefined,
    );
  }
}

/** The same exchange with other values in its message; the headers that repeat the body follow. */
function rewritten({ exchange, message }: Asked, edits: readonly Edit[]): Exchange {
  const changed = readMessage(spliceMessage(message.text, edits));
  if (changed === undefined) throw new ProxyError('internal', 'a request could not be rewritten');
  const bytes = encoder.encode(changed.text);
  const { head } = exchange;
  const sized = head.headers['content-length'] === undefined ? {} : { 'content-length': `${bytes.length}` };
  const fresh = { ...head, headers: withHeaders(head.headers, { ...modernHeaders(changed), ...sized }) };
  return withExchange(exchange, {
    head: fresh,
    body: Body.whole(bytes, jsonFraming),
    context: overlaid(exchange.context, callSlot, classify(fresh, [changed], false)),
  });
}

function invalid(message: Message, text: string): Reply {
  return jsonReply(failureText(message.idText ?? 'null', { code: INVALID_PARAMS, message: text }), { status: 400 });
}
