import { type Clock, type HeaderMap, headerOf, type Log, ProxyError, type Reply } from '@shadowcat/kernel';
import {
  type JsonObject,
  notificationText,
  type OnRecovery,
  type RecoveryOutcome,
  requestText,
  SESSION_HEADER,
  type SessionHandle,
  VERSION_HEADER,
} from '@shadowcat/wire';

export interface RecoveryPost {
  readonly body: Uint8Array;
  /** The header fields of the client whose request found the session lost. */
  readonly client: HeaderMap;
  readonly changes: HeaderMap;
  readonly sessionId: string | undefined;
  readonly signal: AbortSignal;
}

export interface RecoveryComponents {
  readonly log: Log;
  readonly clock: Clock;
  readonly post: (request: RecoveryPost) => Promise<Reply>;
  /** Told of each recovery, however it went. */
  readonly recovered?: OnRecovery | undefined;
}

/** Bytes of an answer to one of the requests here; more than any `initialize` result has. */
const MOST_READ = 4 * 1024 * 1024;

/**
 * Opens sessions again that an upstream lost, with what the client once sent: `initialize`, then
 * `notifications/initialized`, the log level and the subscriptions. One attempt at a time for each session, shared by all
 * who wait for it.
 */
export class SessionRecovery {
  readonly #options: { readonly target: string; readonly name: string; readonly deadline: number };
  readonly #components: RecoveryComponents;
  readonly #flights = new Map<SessionHandle, Promise<void>>();
  /** What to do when a session was opened again. */
  readonly #renewals = new Map<SessionHandle, Set<() => void>>();

  /** `deadline`: milliseconds for one recovery from start to end. */
  constructor(
    options: { readonly target: string; readonly name: string; readonly deadline: number },
    components: RecoveryComponents,
  ) {
    this.#options = options;
    this.#components = components;
  }

  /** Whether any session is being opened again. */
  get busy(): boolean {
    return this.#flights.size > 0;
  }

  /** Runs `renew` each time after `session` was opened again. Returns how to take that back. */
  onReopened(session: SessionHandle, renew: () => void): () => void {
    const renewals = this.#renewals.get(session) ?? new Set();
    this.#renewals.set(session, renewals.add(renew));
    return () => {
      renewals.delete(renew);
      if (renewals.size === 0 && this.#renewals.get(session) === renewals) this.#renewals.delete(session);
    };
  }

  /** Resolves when no recovery of `session` is under way, however it went. */
  async settled(session: SessionHandle): Promise<void> {
    await this.#flights.get(session)?.catch(() => undefined);
  }

  /**
   * Binds `session` to a new upstream session, unless somebody else did since `lost` (its old upstream id, also of another
   * upstream; none: it was not open yet) was used.
   * Rejects with the `ProxyError` that kept it from it.
   */
  recover(
    session: SessionHandle,
    found: { readonly lost: string | undefined; readonly client: HeaderMap },
  ): Promise<void> {
    const underWay = this.#flights.get(session);
    if (underWay !== undefined) return underWay;
    if (session.upstream?.sessionId !== found.lost) return Promise.resolve();
    const flight = this.#watched(session, found.client).finally(() => this.#flights.delete(session));
    this.#flights.set(session, flight);
    return flight;
  }

  /** Opens a session again, and says how it went to whoever wants to know. */
  async #watched(session: SessionHandle, client: HeaderMap): Promise<void> {
    const { name, target } = this.#options;
    const { log, recovered } = this.#components;
    // Whoever knows the whole id can use the session.
    const details = { session: `${session.id.slice(0, 6)}…`, target };
    const tell = (outcome: RecoveryOutcome, text: string): void => {
      log.warn({ ...details, outcome }, text);
      recovered?.({ target, outcome, sessions: [session.id], text });
    };
    const before = session.upstream?.target;
    if (before === undefined) return this.#open(session, client);
    const loss = before === target ? `${name} had lost a session` : `a session moves from ${before} to ${name}`;
    try {
      await this.#open(session, client);
    } catch (thrown) {
      const error = ProxyError.from(thrown, 'upstream_closed');
      const outcome = error instanceof SessionRefused ? 'refused' : 'failed';
      tell(outcome, `${loss}; it could not be opened again: ${error.message}`);
      throw error;
    }
    tell('ok', `${loss}; it was opened again`);
    for (const renew of this.#renewals.get(session) ?? []) renew();
  }

  async #open(session: SessionHandle, client: HeaderMap): Promise<void> {
    const { name, target, deadline } = this.#options;
    const { clock } = this.#components;
    const controller = new AbortController();
    const late = new ProxyError('upstream_timeout', `${name} lost a session and did not open it again in time`);
    const timer = clock.timer(deadline, () => controller.abort(late));
    const { signal } = controller;
    const own = ofNoRequest(client);
    const post = (text: string, more: { sessionId?: string; version?: string } = {}): Promise<Reply> => {
      const changes = { ...POST_FIELDS, [VERSION_HEADER]: more.version };
      return this.#components.post({
        body: encoder.encode(text),
        client: own,
        changes,
        sessionId: more.sessionId,
        signal,
      });
    };
    try {
      const opened = await post(session.initializeText);
      const sessionId = headerOf(opened.head.headers, SESSION_HEADER);
      const result = this.#resultOf(await answerIn(opened), opened.head.status);
      session.bind(sessionId === undefined ? { target } : { target, sessionId });
      const version = versionOf(result) ?? session.protocolVersion;
      const line = { ...(sessionId === undefined ? {} : { sessionId }), ...(version === undefined ? {} : { version }) };
      await discard(await post(notificationText('notifications/initialized'), line));
      for (const text of restoring(session)) await this.#restore(() => post(text, line));
    } finally {
      timer.cancel();
    }
  }

  #resultOf(answer: JsonObject | undefined, status: number): JsonObject {
    const result = answer?.['result'];
    if (status < 300 && typeof result === 'object' && result !== null) return result as JsonObject;
    const error = answer?.['error'] as JsonObject | undefined;
    const why = typeof error?.['message'] === 'string' ? error['message'] : `HTTP ${status}`;
    const message = `${this.#options.name} lost the session and refused to open it again (${why})`;
    throw new SessionRefused('upstream_protocol', message);
  }

  /** What the session had set. A server that refuses it now has changed; the session is usable all the same. */
  async #restore(ask: () => Promise<Reply>): Promise<void> {
    const answer = await answerIn(await ask());
    if (answer?.['error'] === undefined) return;
    this.#components.log.warn({ error: answer['error'] }, `${this.#options.name} did not restore all of a session`);
  }
}

/** The upstream answered, and would not open the session. */
class SessionRefused extends ProxyError {}

const POST_FIELDS: HeaderMap = {
  accept: 'application/json, text/event-stream',
  'content-type': 'application/json',
  'last-event-id': undefined,
};

const encoder = new TextEncoder();

/** The client's header fields without those that describe the request that they came with. */
function ofNoRequest(client: HeaderMap): HeaderMap {
  const fields: Record<string, HeaderMap[string]> = {};
  for (const name in client) if (!name.startsWith('mcp-')) fields[name] = client[name];
  return fields;
}

function restoring({ restore }: SessionHandle): string[] {
  const level = restore.logLevel === undefined ? [] : [`{"level":${JSON.stringify(restore.logLevel)}}`];
  const subscriptions = restore.subscriptions.map((uri) => `{"uri":${JSON.stringify(uri)}}`);
  return [
    ...level.map((params) => requestText('"restore-log-level"', 'logging/setLevel', params)),
    ...subscriptions.map((params, i) => requestText(`"restore-${i}"`, 'resources/subscribe', params)),
  ];
}

function versionOf(result: JsonObject): string | undefined {
  const version = result['protocolVersion'];
  return typeof version === 'string' ? version : undefined;
}

/** The first JSON-RPC answer in a reply, which is read no further and disposed. */
async function answerIn(reply: Reply): Promise<JsonObject | undefined> {
  try {
    let size = 0;
    for await (const frame of reply.body.frames()) {
      size += frame.bytes?.length ?? 0;
      if (size > MOST_READ) return undefined;
      const message = frame.message as JsonObject | undefined;
      if (message !== undefined && message['method'] === undefined) return message;
    }
    return undefined;
  } finally {
    await reply[Symbol.asyncDispose]();
  }
}

async function discard(reply: Reply): Promise<void> {
  await reply[Symbol.asyncDispose]();
}
