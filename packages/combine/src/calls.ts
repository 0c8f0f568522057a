import { Body, type Exchange, overlaid, ProxyError, type Reply, withExchange, withHeaders } from '@shadowcat/kernel';
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
  objectAt,
  post,
  readMessage,
  spliceMessage,
} from '@shadowcat/wire';
import type { Audience } from './audience.js';
import type { CombineMember } from './contract.js';
import type { Lists } from './lists.js';

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

/** Sends requests that are for one member to that member. */
export class Calls {
  readonly #members: readonly CombineMember[];
  readonly #lists: Lists;

  constructor(members: readonly CombineMember[], lists: Lists) {
    this.#members = members;
    this.#lists = lists;
  }

  /** `tools/call` and `prompts/get`, and completions of a prompt: by a name that stands at `path`. */
  async named(asked: Asked, kind: 'tools' | 'prompts', path: readonly string[]): Promise<Reply> {
    const { exchange, message, audience } = asked;
    const name = path.reduce<unknown>((value, step) => asObject(value)?.[step], message.value);
    if (typeof name !== 'string') return invalid(message, `params has no ${path.slice(1).join('.')}`);
    let owner = audience.owner(kind, name);
    if (owner === undefined) {
      await this.#lists.get(kind, exchange, audience);
      owner = audience.owner(kind, name);
    }
    const member = owner && this.#member(owner.member);
    if (owner === undefined || member === undefined) {
      const what = kind === 'tools' ? 'tool' : 'prompt';
      return invalid(message, `Unknown ${what}: ${name} (none of ${this.#names()} has it)`);
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
      const lists = (['resources', 'templates'] as const).map((kind) => this.#lists.get(kind, exchange, audience));
      // Whoever cannot list can be asked all the same.
      await Promise.allSettled(lists);
      owner = audience.ownerOf(uri);
    }
    const member = owner === undefined ? undefined : this.#member(owner);
    return member === undefined ? this.inTurn(asked) : member.handler(exchange);
  }

  /** Asks one member after the other until one does not answer with an error. For what is safe to ask of the wrong one. */
  async inTurn({ exchange, message }: Asked): Promise<Reply> {
    let refusal: Reply | undefined;
    let unknown: Reply | undefined;
    let failure: unknown;
    for (const { handler } of this.#members) {
      try {
        const posted = await post(handler, exchange);
        if (posted.kind !== 'answer') return posted.reply;
        const answer = posted.reply ?? jsonReply(posted.message.text);
        const error = objectAt(posted.message.value, 'error');
        if (error === undefined) return answer;
        // Who does not know the method has less to say than who does not have the thing.
        if (error['code'] === UNKNOWN_METHOD) unknown ??= answer;
        else refusal ??= answer;
      } catch (error) {
        failure ??= error;
      }
      if (exchange.signal.aborted) throw ProxyError.from(exchange.signal.reason, 'cancelled');
    }
    // A member that could not be asked may be the one that has it.
    if (failure !== undefined) throw failure;
    return refusal ?? unknown ?? invalid(message, 'nobody answers it');
  }

  #member(name: string): CombineMember | undefined {
    return this.#members.find((member) => member.name === name);
  }

  #names(): string {
    return this.#members.map(({ name }) => name).join(', ');
  }

  #listed(audience: Audience): boolean {
    return this.#members.every(
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
