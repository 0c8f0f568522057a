import { Frame, type HeaderMap, ProxyError } from '@shadowcat/kernel';
import {
  asObject,
  claimedVersion,
  isModern,
  META_SUBSCRIPTION,
  type Message,
  modernHeaders,
  objectAt,
  type ReadMessages,
  SESSION_HEADER,
  VERSION_HEADER,
} from '@shadowcat/wire';
import type { CaptureMaker, ImportedFlight, ImportSession } from './capture-maker.js';
import type { Losses } from './losses.js';

/** What is on a line, once it is known who sent it. */
export type SpokenLine =
  | { readonly from: 'client' | 'server'; readonly at: number | undefined; readonly read: ReadMessages }
  | { readonly from: 'text'; readonly at: number | undefined; readonly text: string };

const TARGET = '/mcp';
const JSON_TYPE: HeaderMap = { 'content-type': 'application/json' };
const SSE_TYPE: HeaderMap = { 'content-type': 'text/event-stream' };
const ACCEPT = 'application/json, text/event-stream';
const encoder = new TextEncoder();

/** A request on the line, and the exchange that a recorder would have made of it. */
interface Waiting {
  readonly flight: ImportedFlight;
  readonly unanswered: Set<string>;
  readonly batch: boolean;
  /** A subscription: only what names it belongs to it. */
  readonly listens: boolean;
  readonly early: string[];
  readonly tokens: string[];
}

/**
 * Tells `maker` what passed on one line, in order. As a recorder does: what the client sends is a POST, what names a request (answer, progress,
 * subscription) goes back on it, anything else on the only request under way, else on the standing stream. `initialize` begins a session.
 */
export function playLines(lines: readonly SpokenLine[], maker: CaptureMaker, losses: Losses): void {
  const player = new LinePlayer(maker, losses);
  for (const line of lines) player.play(line);
  player.finish();
}

class LinePlayer {
  readonly #maker: CaptureMaker;
  readonly #losses: Losses;
  #session: ImportSession | undefined;
  #version: string | undefined;
  #standing: ImportedFlight | undefined;
  /** By the id of each request; several of a batch share one. */
  readonly #waiting = new Map<string, Waiting>();
  /** Those that take what names no request. */
  readonly #flights = new Set<Waiting>();
  readonly #tokens = new Map<string, Waiting>();
  #cancelled = new Set<string>();
  /** What had no place yet. */
  #homeless: string[] = [];
  #notes: string[] = [];
  #begun = false;

  constructor(maker: CaptureMaker, losses: Losses) {
    this.#maker = maker;
    this.#losses = losses;
  }

  play(line: SpokenLine): void {
    this.#maker.moveTo(line.at);
    if (line.from === 'text') {
      this.#notes.push(line.text);
      if (this.#begun) this.#tellNotes();
    } else if (line.from === 'client') this.#asked(line.read);
    else for (const message of line.read.messages) this.#heard(message);
  }

  finish(): void {
    this.#tellNotes();
    this.#leave();
  }

  #tellNotes(): void {
    for (const text of this.#notes.splice(0)) this.#maker.note('err', text, this.#session);
  }

  /** The line ends, or another conversation begins on it. */
  #leave(): void {
    this.#losses.add('cutOff', this.#waiting.size);
    this.#losses.add('stray', this.#homeless.length);
    this.#standing?.end({ kind: 'abandoned' });
    this.#standing = undefined;
    this.#waiting.clear();
    this.#flights.clear();
    this.#tokens.clear();
    this.#cancelled.clear();
    this.#homeless = [];
  }

  #asked(read: ReadMessages): void {
    const first = read.messages.find(({ kind }) => kind === 'request') ?? read.messages[0];
    if (first === undefined) return;
    const opens = first.method === 'initialize' && claimedVersion(first) === undefined;
    if (opens) this.#open();
    else if (!this.#begun && !modern(first)) this.#losses.add('opening');
    this.#begun = true;
    const session = modern(first) ? undefined : this.#session;
    const head = { method: 'POST', target: TARGET, headers: this.#headers(first) };
    const flight = this.#maker.begin(head, read, session);
    const requests = read.messages.filter(({ kind }) => kind === 'request');
    if (requests.length > 0) this.#await(requests, flight, read.batch);
    else flight.whole(202, {}, new Uint8Array(0));
    for (const message of read.messages) this.#notice(message);
  }

  #open(): void {
    this.#leave();
    this.#session?.end();
    this.#version = undefined;
    this.#session = this.#maker.openSession();
  }

  #headers(message: Message): HeaderMap {
    const own = modern(message) ? modernHeaders(message) : { [VERSION_HEADER]: this.#version };
    const given = Object.entries(own).filter(([, value]) => value !== undefined);
    return { ...JSON_TYPE, accept: ACCEPT, ...Object.fromEntries(given) };
  }

  #await(requests: readonly Message[], flight: ImportedFlight, batch: boolean): void {
    const ids = requests.flatMap(({ idText }) => idText ?? []);
    const listens = requests.some(({ method }) => method === 'subscriptions/listen');
    const waiting: Waiting = { flight, unanswered: new Set(ids), batch, listens, early: [], tokens: [] };
    if (!listens) this.#flights.add(waiting);
    for (const { idText, value } of requests) {
      if (idText === undefined) continue;
      this.#waiting.set(idText, waiting);
      const token = objectAt(asObject(value['params']), '_meta')?.['progressToken'];
      if (token === undefined) continue;
      waiting.tokens.push(JSON.stringify(token));
      this.#tokens.set(JSON.stringify(token), waiting);
    }
    if (!listens) for (const text of this.#homeless.splice(0)) this.#deliver(waiting, text);
  }

  /** What a notification of the client's means for the line. */
  #notice(message: Message): void {
    if (message.method === 'notifications/initialized' && this.#session !== undefined && this.#standing === undefined) {
      const headers = {
        accept: 'text/event-stream',
        ...(this.#version === undefined ? {} : { [VERSION_HEADER]: this.#version }),
      };
      this.#standing = this.#maker.begin({ method: 'GET', target: TARGET, headers }, NOTHING, this.#session);
      this.#standing.stream(200, SSE_TYPE);
      for (const text of this.#homeless.splice(0)) this.#standing.event(new Frame({ text }));
    }
    if (message.method !== 'notifications/cancelled') return;
    const id = JSON.stringify(asObject(message.value['params'])?.['requestId']);
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#cancelled.add(id);
    this.#settle(waiting, id, undefined);
  }

  #heard(message: Message): void {
    const { kind, idText = 'null', text, value } = message;
    if (kind === 'response') {
      const waiting = this.#waiting.get(idText);
      if (waiting !== undefined) {
        this.#learn(message);
        this.#settle(waiting, idText, text);
      } else if (!this.#cancelled.has(idText)) this.#losses.add('stray');
      return;
    }
    const params = asObject(value['params']);
    const tag = objectAt(params, '_meta')?.[META_SUBSCRIPTION];
    const named =
      (tag === undefined ? undefined : this.#waiting.get(JSON.stringify(tag))) ??
      (kind === 'notification' ? this.#tokens.get(JSON.stringify(params?.['progressToken'])) : undefined);
    const home = named ?? this.#home();
    if (home === undefined) this.#homeless.push(text);
    else if (home === 'standing') this.#standing?.event(new Frame({ text }));
    else this.#deliver(home, text);
  }

  /** The only request under way, else the standing stream, else the oldest request. */
  #home(): Waiting | 'standing' | undefined {
    const [oldest] = this.#flights;
    if (this.#flights.size !== 1 && this.#standing !== undefined) return 'standing';
    return oldest;
  }

  /** What the answer to `initialize` says. */
  #learn({ value }: Message): void {
    const version = asObject(value['result'])?.['protocolVersion'];
    if (typeof version === 'string' && this.#version === undefined && !isModern(version)) this.#version = version;
  }

  #deliver(waiting: Waiting, text: string): void {
    const { flight, early } = waiting;
    if (!flight.headed) flight.stream(200, this.#replyHeaders(SSE_TYPE));
    for (const answer of early.splice(0)) flight.event(new Frame({ text: answer }));
    flight.event(new Frame({ text }));
  }

  /** A request is answered, or will not be (`answer` is `undefined`). */
  #settle(waiting: Waiting, id: string, answer: string | undefined): void {
    const { flight, unanswered, early, batch } = waiting;
    this.#waiting.delete(id);
    unanswered.delete(id);
    if (answer !== undefined) {
      if (flight.headed) flight.event(new Frame({ text: answer }));
      else early.push(answer);
    }
    if (unanswered.size > 0) return;
    this.#flights.delete(waiting);
    for (const token of waiting.tokens) if (this.#tokens.get(token) === waiting) this.#tokens.delete(token);
    if (flight.headed || early.length === 0) {
      if (!flight.headed) flight.stream(200, SSE_TYPE);
      flight.end({ kind: 'complete' });
      return;
    }
    const text = batch ? `[${early.join(',')}]` : (early[0] ?? '');
    try {
      flight.whole(200, this.#replyHeaders(JSON_TYPE), encoder.encode(text));
    } catch (error) {
      this.#losses.add('unread');
      flight.end({ kind: 'failed', error: ProxyError.from(error) });
    }
  }

  /** With the session's id, which is on no tape: so the recorder knows that there is one. */
  #replyHeaders(headers: HeaderMap): HeaderMap {
    return this.#session === undefined ? headers : { ...headers, [SESSION_HEADER]: this.#session.id };
  }
}

const NOTHING: ReadMessages = { batch: false, messages: [] };

function modern(message: Message): boolean {
  const claim = claimedVersion(message);
  return claim !== undefined && isModern(claim);
}
