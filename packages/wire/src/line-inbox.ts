import { type Log, ProxyError } from '@shadowcat/kernel';
import type { Correlator, Flying, Inbound } from './correlator.js';
import type { Message } from './jsonrpc.js';
import { Flight } from './line-flight.js';
import { type Home, homeOf, sharedHomesOf, WaitingRoom } from './line-homes.js';
import { readLine, readMessage } from './read-messages.js';
import type { StandingStream } from './standing-stream.js';
import { responseText } from './texts.js';

/** A request of the proxy itself. */
export interface Ask {
  readonly asked: PromiseWithResolvers<Message>;
}

/** Who waits for an answer. */
export type Owner = Flight | Ask;

export interface LineInboxParts {
  readonly name: string;
  readonly shared: boolean;
  readonly log: Log;
  readonly correlator: Correlator<Owner>;
  /** Answers the server. Must not reject. */
  readonly answer: (text: string) => void;
  /** Nobody waits for this flight any more. */
  readonly abandon: (flight: Flight) => void;
}

const WAITING = { messages: 100, size: 1024 * 1024 };

/** Finds the place of every message that a server sends: the POST it answers, a GET stream, or a wait for either. */
export class LineInbox {
  readonly #parts: LineInboxParts;
  /** Where a message that names no request may go. Subscriptions are left out: their messages always name them. */
  readonly #flights = new Set<Flight>();
  readonly #streams = new Map<string, StandingStream>();
  readonly #waiting = new WaitingRoom(WAITING);
  #received = 0;
  #late = 0;
  #unknown = 0;
  /** How to take back that streams tell us of their end. */
  readonly #leave = new Set<() => void>();
  #homeless = 0;
  /** From how many dropped messages on that is said again. */
  #sayNext = 1;
  #slowClients = 0;

  constructor(parts: LineInboxParts) {
    this.#parts = parts;
  }

  get stats(): InboxStats {
    return {
      received: this.#received,
      late: this.#late,
      unknown: this.#unknown,
      homeless: this.#homeless,
      slowClients: this.#slowClients,
      waiting: this.#waiting.length,
    };
  }

  /** A flight can take messages from now on; it gets those that waited. */
  open(flight: Flight): void {
    if (flight.over) return;
    this.#flights.add(flight);
    if (!this.#parts.shared && this.#waiting.length > 0) this.#settleIn(flight);
  }

  close(flight: Flight): void {
    this.#flights.delete(flight);
  }

  attach(stream: StandingStream): void {
    if (!stream.open) return;
    const { id } = stream.session;
    this.#streams.set(id, stream);
    const leave = stream.onClose(() => {
      this.#leave.delete(leave);
      if (this.#streams.get(id) === stream) this.#streams.delete(id);
    });
    this.#leave.add(leave);
    if (!this.#parts.shared && this.#waiting.length > 0) this.#settleIn(stream);
  }

  /** The line is over: streams that outlive it are not to hold on to it. */
  detach(): void {
    for (const leave of this.#leave) leave();
    this.#leave.clear();
    this.#streams.clear();
  }

  /** A client sent what nobody waits for. */
  countUnknown(): void {
    this.#unknown += 1;
  }

  /** One line of the server's. */
  heard(text: string): void {
    const message = readMessage(text);
    if (message !== undefined) {
      this.#received += 1;
      this.#handle(message);
      return;
    }
    const messages = readLine(text);
    this.#received += messages.length;
    for (const one of messages) this.#handle(one);
    if (messages.length > 0) return;
    this.#unknown += 1;
    const { log, name } = this.#parts;
    log.warn({ line: name, text: text.slice(0, 200) }, 'the server sent something that is no JSON-RPC message');
  }

  #handle(message: Message): void {
    if (message.kind === 'request') {
      if (this.#parts.shared) this.#refuse(message);
      else this.#relay(message);
      return;
    }
    const inbound = this.#parts.correlator.inbound(message);
    switch (inbound.kind) {
      case 'answer':
        this.#answered(inbound.entry, inbound.text, message);
        break;
      case 'related':
      case 'ended':
        this.#related(inbound);
        break;
      case 'homeless':
        this.#notify(message, inbound);
        break;
      case 'late':
        this.#late += 1;
        break;
      case 'unknown':
        this.#unknown += 1;
        this.#parts.log.debug(
          { line: this.#parts.name, message: message.text.slice(0, 200) },
          'it belongs to no request',
        );
    }
  }

  #answered(entry: Flying<Owner>, text: string, message: Message): void {
    const { owner } = entry;
    if (!(owner instanceof Flight)) {
      owner.asked.resolve(message);
      return;
    }
    owner.answer(entry, text, message);
    if (owner.over) this.#flights.delete(owner);
  }

  #related({ kind, entry, text }: Inbound<Owner> & { readonly kind: 'related' | 'ended' }): void {
    const { owner } = entry;
    if (!(owner instanceof Flight)) return;
    this.#deliver(owner, text);
    if (kind !== 'ended') return;
    owner.drop(entry);
    if (owner.over) this.#flights.delete(owner);
  }

  #notify(message: Message, inbound: Inbound<Owner> & { readonly kind: 'homeless' }): void {
    const { text, owner } = inbound;
    if (this.#parts.shared) {
      const homes = this.#sharedHomes(message, inbound.scope);
      if (homes.length === 0) this.#homeless += 1;
      for (const home of homes) this.#deliver(home, text);
      return;
    }
    const home = owner instanceof Flight && !owner.over ? owner : this.#home();
    if (home === undefined) this.#wait(text.length, () => text);
    else this.#deliver(home, text);
  }

  #sharedHomes(message: Message, scope: string | undefined): readonly Home[] {
    if (scope !== undefined) {
      const stream = this.#streams.get(scope);
      return stream === undefined ? [] : [stream];
    }
    const params = message.value['params'] as { readonly uri?: unknown } | null | undefined;
    const uri = typeof params?.uri === 'string' ? params.uri : undefined;
    return sharedHomesOf(
      { method: message.method ?? '', uri },
      {
        flights: this.#flights,
        streams: this.#streams.values(),
        wasAlone: (request) => this.#parts.correlator.wasAlone(request),
      },
    );
  }

  /** A request for the client of this line. */
  #relay(message: Message): void {
    const home = this.#home();
    if (home === undefined && message.method === 'ping') {
      // It asks whether this end of the line lives, and nobody else can say so now.
      this.#parts.answer(responseText(message.idText ?? 'null', '{}'));
      return;
    }
    const make = (to: Home): string => {
      const { correlator } = this.#parts;
      if (to instanceof Flight) return correlator.serverRequest(message, to.scope, to);
      return correlator.serverRequest(message, to.session.id, undefined);
    };
    if (home === undefined) this.#wait(message.text.length, make);
    else this.#deliver(home, make(home));
  }

  /** On a shared line there is no client to ask, and the server was told so when it was initialised. */
  #refuse(message: Message): void {
    const idText = message.idText ?? 'null';
    const error = '{"code":-32601,"message":"there is no client to ask: several share this server process"}';
    const refusal = `{"jsonrpc":"2.0","id":${idText},"error":${error}}`;
    this.#parts.answer(message.method === 'ping' ? responseText(idText, '{}') : refusal);
  }

  #home(): Home | undefined {
    const [stream] = this.#streams.values();
    const home = homeOf(this.#flights, stream);
    if (!(home instanceof Flight) || !home.deserted) return home;
    this.#flights.delete(home);
    return this.#home();
  }

  #wait(size: number, make: (home: Home) => string): void {
    const dropped = this.#waiting.add(size, make);
    if (dropped === 0) return;
    this.#homeless += dropped;
    const { log, name } = this.#parts;
    // One that talks to nobody would fill the log: it is said once, and again each time it has become ten times as many.
    if (this.#homeless < this.#sayNext) return;
    this.#sayNext = this.#homeless * 10;
    log.warn(
      { line: name, dropped: this.#homeless },
      'messages of the server were dropped: its client has no stream open',
    );
  }

  /** What waited for a home has one now. */
  #settleIn(home: Home): void {
    for (const make of this.#waiting.take()) this.#deliver(home, make(home));
  }

  #deliver(home: Home, text: string): void {
    const isFlight = home instanceof Flight;
    const taken = isFlight ? home.message(text) : home.push(text);
    if (taken || (isFlight ? home.over : !home.open)) return;
    this.#slowClients += 1;
    this.#parts.log.warn({ line: this.#parts.name }, 'a client does not read its stream and was dropped');
    const error = new ProxyError('slow_client', 'the client did not read its stream');
    if (isFlight) {
      this.#parts.abandon(home);
      home.breakOff(error);
    } else {
      home.end(error);
    }
  }
}

export interface InboxStats {
  readonly received: number;
  /** Messages for requests that nobody waits for any more. */
  readonly late: number;
  /** Messages for requests that never were, and lines that are no message. */
  readonly unknown: number;
  /** Messages that had no home: too many waited, or they could not be attributed to one of several clients. */
  readonly homeless: number;
  /** Clients that were dropped because they did not read. */
  readonly slowClients: number;
  /** Messages that wait for a home. */
  readonly waiting: number;
}
