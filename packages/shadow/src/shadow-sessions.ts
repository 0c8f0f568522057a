import { type Clock, type Exchange, type Handler, headerOf, type Log, ProxyError } from '@shadowcat/kernel';
import {
  asObject,
  type Json,
  type JsonObject,
  type Message,
  notificationText,
  readMessage,
  SESSION_HEADER,
  type SessionHandle,
  targetSlot,
} from '@shadowcat/wire';
import { answerIn } from './answer-in.js';
import { shadowExchange } from './shadow-exchange.js';
import { ShadowSession } from './shadow-session.js';

export interface ShadowSessionsComponents {
  readonly shadow: Handler;
  readonly clock: Clock;
  readonly log: Log;
  /** Milliseconds for opening one. */
  readonly timeoutMs: number;
}

/** A request's use of a session. */
export interface SessionUse {
  /** Rejects when the shadow does not open it; the next one tries again. */
  readonly opened: Promise<ShadowSession>;
  /** Called once, when nothing of the request is under way any more. */
  release(): void;
}

interface Side {
  readonly session: ShadowSession;
  readonly opened: Promise<ShadowSession>;
  /** Takes back what was to happen at the end of the client's session. */
  leave: () => void;
  users: number;
  /** Nobody finds it any more: it ends with its last use. */
  over: boolean;
}

/**
 * The sessions that clients have at the shadow without knowing: opened when first needed, ended with their own. Many clients end
 * theirs as soon as they have their answers, so what is still asked of the shadow then is waited for.
 */
export class ShadowSessions {
  readonly #components: ShadowSessionsComponents;
  readonly #sides = new Map<SessionHandle, Side>();
  /** Over, and in use. */
  readonly #leaving = new Set<Side>();
  /** What is being opened, so that it can be given up. */
  readonly #opening = new Set<AbortController>();
  #closed = false;

  constructor(components: ShadowSessionsComponents) {
    this.#components = components;
  }

  get size(): number {
    return this.#sides.size + this.#leaving.size;
  }

  /** The session at the shadow that belongs to this one. Throws `cancelled` when that is over. */
  use(client: SessionHandle, exchange: Exchange): SessionUse {
    if (this.#closed || client.ended) throw new ProxyError('cancelled', 'the session of the client is over');
    const side = this.#sides.get(client) ?? this.#begin(client, exchange);
    side.users += 1;
    return {
      opened: side.opened,
      release: () => {
        side.users -= 1;
        if (side.over && side.users === 0) this.#end(side);
      },
    };
  }

  /** Ends all of them, in use or not. */
  close(): void {
    this.#closed = true;
    for (const controller of this.#opening)
      controller.abort(new ProxyError('draining', 'nothing is mirrored any more'));
    for (const [client, side] of this.#sides) this.#forget(client, side);
    for (const side of this.#leaving) this.#end(side);
  }

  #begin(client: SessionHandle, exchange: Exchange): Side {
    const session = new ShadowSession(client);
    const opened = this.#open(session, exchange).catch((error: unknown) => {
      this.#forget(client, side);
      throw error;
    });
    const side: Side = { session, opened, leave: () => {}, users: 0, over: false };
    this.#sides.set(client, side);
    side.leave = client.onEnd(() => this.#forget(client, side));
    return side;
  }

  #forget(client: SessionHandle, side: Side): void {
    if (side.over) return;
    side.over = true;
    side.leave();
    this.#sides.delete(client);
    if (side.users === 0) this.#end(side);
    else this.#leaving.add(side);
  }

  #end(side: Side): void {
    this.#leaving.delete(side);
    side.session.end();
  }

  async #open(session: ShadowSession, client: Exchange): Promise<ShadowSession> {
    const { shadow, clock, timeoutMs } = this.#components;
    const controller = new AbortController();
    const late = new ProxyError('upstream_timeout', 'the shadow did not open a session in time');
    const timer = clock.timer(timeoutMs, () => controller.abort(late));
    this.#opening.add(controller);
    const { signal } = controller;
    const own = (message: Message, what: string): Exchange =>
      shadowExchange({ id: `${client.id}-shadow-${what}`, client, message, session, signal });
    try {
      const message = sound(readMessage(session.initializeText));
      const exchange = own(message, 'open');
      const reply = await shadow(exchange);
      const given = headerOf(reply.head.headers, SESSION_HEADER);
      const { status } = reply.head;
      const answer = await answerIn(reply, message.id ?? null);
      const result = typeof answer === 'string' || status > 299 ? undefined : asObject(answer['result']);
      if (result === undefined)
        throw new ProxyError('upstream_protocol', `the shadow opened no session (HTTP ${status})`);
      bind(session, exchange, given);
      session.learn(result, versionOf(result));
      const told = await shadow(own(sound(readMessage(notificationText('notifications/initialized'))), 'opened'));
      await told[Symbol.asyncDispose]();
      return session;
    } finally {
      timer.cancel();
      this.#opening.delete(controller);
    }
  }
}

/** As the session layer binds a client's. */
function bind(session: ShadowSession, exchange: Exchange, given: string | undefined): void {
  const target = session.upstream?.target ?? exchange.context.get(targetSlot) ?? '';
  const sessionId = session.upstream?.sessionId ?? given;
  session.bind(sessionId === undefined ? { target } : { target, sessionId });
}

function versionOf(result: JsonObject): string | undefined {
  const version: Json | undefined = result['protocolVersion'];
  return typeof version === 'string' ? version : undefined;
}

function sound(message: Message | undefined): Message {
  if (message === undefined) throw new ProxyError('internal', 'a session has no initialize request');
  return message;
}
