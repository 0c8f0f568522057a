import type { Flying } from './correlator.js';
import type { Flight } from './line-flight.js';
import type { StandingStream } from './standing-stream.js';

/** Where a message that names no request can be sent. */
export type Home = Flight | StandingStream;

/** What is waiting for a home, bounded by number and size. */
export class WaitingRoom {
  readonly #maxMessages: number;
  readonly #maxSize: number;
  #waiting: ((home: Home) => string)[] = [];
  #sizes: number[] = [];
  #size = 0;

  constructor(limits: { readonly messages: number; readonly size: number }) {
    this.#maxMessages = limits.messages;
    this.#maxSize = limits.size;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Keeps a message, made when its home is known. Returns how many older ones had to go for it. */
  add(size: number, make: (home: Home) => string): number {
    this.#waiting.push(make);
    this.#sizes.push(size);
    this.#size += size;
    let dropped = 0;
    while (this.#waiting.length > this.#maxMessages || (this.#size > this.#maxSize && this.#waiting.length > 1)) {
      this.#waiting.shift();
      this.#size -= this.#sizes.shift() ?? 0;
      dropped += 1;
    }
    return dropped;
  }

  take(): ((home: Home) => string)[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#sizes = [];
    this.#size = 0;
    return waiting;
  }
}

/**
 * The home of a message on a line that belongs to one session: the only request in flight, because the message most likely
 * comes from it; else the GET stream; else the oldest request in flight. `undefined`: it waits.
 */
export function homeOf(flights: ReadonlySet<Flight>, stream: StandingStream | undefined): Home | undefined {
  if (flights.size !== 1 && stream?.open === true) return stream;
  for (const flight of flights) return flight;
  return stream?.open === true ? stream : undefined;
}

/** Notifications that say the same to everybody who uses the server. */
const FOR_ALL: ReadonlySet<string> = new Set([
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed',
]);

/**
 * The homes of a notification on a line that several clients share. What is for all goes to every GET stream, updates of
 * a resource to those who subscribed to it. Anything else may be about one client's affairs: it goes to that client only if
 * all requests in flight are its own and were alone on the line (`wasAlone`), and to nobody otherwise.
 */
export function sharedHomesOf(
  notification: { readonly method: string; readonly uri: string | undefined },
  line: {
    readonly flights: ReadonlySet<Flight>;
    readonly streams: Iterable<StandingStream>;
    readonly wasAlone: (request: Flying<unknown>) => boolean;
  },
): Home[] {
  const open = [...line.streams].filter((stream) => stream.open);
  if (FOR_ALL.has(notification.method)) return open;
  if (notification.method === 'notifications/resources/updated') {
    const { uri } = notification;
    return open.filter(({ session }) => uri !== undefined && session.restore.subscriptions.includes(uri));
  }
  let only: Flight | undefined;
  for (const flight of line.flights) {
    if (only !== undefined && only.scope !== flight.scope) return [];
    for (const request of flight.unanswered) if (!line.wasAlone(request)) return [];
    only ??= flight;
  }
  return only === undefined ? [] : [only];
}
