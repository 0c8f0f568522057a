import {
  Body,
  Context,
  type ErrorCode,
  type Exchange,
  type Frame,
  type Handler,
  type HeaderMap,
  headerOf,
  ProxyError,
  type Reply,
} from '@shadowcat/kernel';
import {
  callSlot,
  classify,
  jsonFraming,
  LEGACY_VERSIONS,
  META_CLIENT_CAPABILITIES,
  META_CLIENT_INFO,
  META_VERSION,
  type Message,
  MODERN,
  modernHeaders,
  notificationText,
  objectAt,
  readMessage,
  requestText,
  SESSION_HEADER,
  VERSION_HEADER,
} from '@shadowcat/wire';
import { outcomeOfStatus } from './gateway-status.js';

export interface ProbeDialogueOptions {
  /** The member's name. */
  readonly name: string;
  /** Who asks, for `clientInfo`. */
  readonly version: string;
  /** Whether the member's sessions are its own (HTTP); on a line they belong to its clients. */
  readonly sessions: boolean;
}

const CLIENT = 'shadowcat-health';
/** Answers beyond this are not read. */
const MAX_BYTES = 256 * 1024;
const encoder = new TextEncoder();

/** Errors that say that the member does not answer; others are about the question or about the proxy. */
const DEAD: ReadonlySet<ErrorCode> = new Set([
  'upstream_unreachable',
  'upstream_closed',
  'upstream_timeout',
  'upstream_protocol',
  'child_exited',
  'spawn_failed',
]);

/**
 * How a server is asked whether it lives, in the way of its era: `server/discover` where it knows that; else `ping`, over HTTP on a
 * session that is kept for it. Calls nothing. Whatever a server answers proves that it lives, except for what gateways say of
 * servers that are gone.
 */
export class ProbeDialogue {
  readonly #options: ProbeDialogueOptions;
  readonly #ask: Handler;
  #era: 'unknown' | 'modern' | 'legacy' = 'unknown';
  /** The legacy session, with its revision; no id where the server gave none. */
  #session: { readonly id: string | undefined; readonly version: string } | undefined;
  #count = 0;

  constructor(options: ProbeDialogueOptions, handler: Handler) {
    this.#options = options;
    this.#ask = handler;
  }

  /** Rejects with what kept the server from answering. */
  async ask(signal: AbortSignal): Promise<'answered' | 'undetermined'> {
    try {
      await this.#askWell(signal);
      return 'answered';
    } catch (thrown) {
      const error = ProxyError.from(thrown);
      if (DEAD.has(error.code)) throw error;
      return 'undetermined';
    }
  }

  /** Ends the session that was kept. */
  async close(signal: AbortSignal): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session?.id === undefined) return;
    const answer = await this.#ask(this.#exchange('DELETE', undefined, { signal, headers: legacyHeaders(session) }));
    await answer[Symbol.asyncDispose]();
  }

  async #askWell(signal: AbortSignal): Promise<void> {
    if (this.#era !== 'legacy' || !this.#options.sessions) {
      const said = await this.#discover(signal);
      if (said.result !== undefined) this.#era = 'modern';
      // A server that was replaced by an older one is asked in its own way from now on.
      else if (said.status < 500 && said.status !== 401 && said.status !== 403) this.#era = 'legacy';
      return;
    }
    if (this.#session === undefined && !(await this.#open(signal))) return;
    const session = this.#session;
    if (session === undefined) return;
    const said = await this.#post(requestText(`"${this.#id()}"`, 'ping'), { signal, headers: legacyHeaders(session) });
    // Forgotten by the server, or it does not know sessions any more: the next probe begins anew.
    if (said.status < 400) return;
    this.#session = undefined;
    this.#era = 'unknown';
  }

  #discover(signal: AbortSignal): Promise<Said> {
    const info = { name: CLIENT, version: this.#options.version };
    const _meta = { [META_VERSION]: MODERN, [META_CLIENT_CAPABILITIES]: {}, [META_CLIENT_INFO]: info };
    const text = requestText(`"${this.#id()}"`, 'server/discover', JSON.stringify({ _meta }));
    const message = readMessage(text);
    return this.#post(text, { signal, headers: message === undefined ? {} : modernHeaders(message) });
  }

  /** False when the server would not open a session, which proves that it lives. */
  async #open(signal: AbortSignal): Promise<boolean> {
    const clientInfo = { name: CLIENT, version: this.#options.version };
    const params = { protocolVersion: LEGACY_VERSIONS[0], capabilities: {}, clientInfo };
    const text = requestText(`"${this.#id()}"`, 'initialize', JSON.stringify(params));
    const said = await this.#post(text, { signal, headers: {} });
    const version = said.result?.['protocolVersion'];
    if (typeof version !== 'string') return false;
    const session = { id: headerOf(said.headers, SESSION_HEADER), version };
    this.#session = session;
    await this.#post(notificationText('notifications/initialized'), { signal, headers: legacyHeaders(session) });
    return true;
  }

  async #post(text: string, { signal, headers }: { signal: AbortSignal; headers: HeaderMap }): Promise<Said> {
    const answer = await this.#ask(this.#exchange('POST', readMessage(text), { signal, headers }));
    try {
      const { status } = answer.head;
      if (outcomeOfStatus(status) !== 'answered') {
        throw new ProxyError('upstream_closed', `${this.#options.name} answered a health check with HTTP ${status}`);
      }
      return { status, headers: answer.head.headers, result: await resultIn(answer) };
    } finally {
      await answer[Symbol.asyncDispose]();
    }
  }

  #exchange(
    method: 'POST' | 'DELETE',
    message: Message | undefined,
    { signal, headers }: { signal: AbortSignal; headers: HeaderMap },
  ): Exchange {
    const fields: HeaderMap = {
      accept: 'application/json, text/event-stream',
      ...(message === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    };
    const head = { method, target: '/', headers: fields };
    const context = new Context();
    context.set(callSlot, classify(head, message === undefined ? [] : [message], false));
    const body = message === undefined ? Body.empty : Body.whole(encoder.encode(message.text), jsonFraming);
    return { id: this.#id(), head, body, signal, context };
  }

  #id(): string {
    this.#count += 1;
    return `health-${this.#count}`;
  }
}

interface Said {
  readonly status: number;
  readonly headers: HeaderMap;
  /** The result in the answer, if it has one. */
  readonly result: ReturnType<typeof objectAt>;
}

function legacyHeaders({ id, version }: { readonly id: string | undefined; readonly version: string }): HeaderMap {
  return { [VERSION_HEADER]: version, ...(id === undefined ? {} : { [SESSION_HEADER]: id }) };
}

async function resultIn(answer: Reply): Promise<Said['result']> {
  if (answer.head.status !== 200 || answer.body.framing.name === 'opaque') return undefined;
  let size = 0;
  for await (const frame of answer.body.frames()) {
    const { message } = frame;
    if (isAnswer(message)) return objectAt(message, 'result');
    size += sizeOf(frame);
    if (size > MAX_BYTES) return undefined;
  }
  return undefined;
}

function isAnswer(message: unknown): boolean {
  return typeof message === 'object' && message !== null && ('result' in message || 'error' in message);
}

function sizeOf({ bytes }: Frame): number {
  return bytes?.length ?? 0;
}
