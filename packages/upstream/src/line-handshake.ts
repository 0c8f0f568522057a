import { type Clock, ProxyError } from '@shadowcat/kernel';
import {
  type LineClient,
  type Message,
  notificationText,
  requestText,
  type SessionHandle,
  spanOf,
} from '@shadowcat/wire';

/** How long a server may take for a handshake. */
export interface Deadline {
  readonly clock: Clock;
  /** Milliseconds; 0: as long as it likes. */
  readonly handshakeMs: number;
}

/** What the proxy says of itself where it is the client. Without the capabilities that need one particular client. */
const OWN_INITIALIZE = JSON.stringify({
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'shadowcat', version: '1' },
});

/**
 * Opens a fresh line for a session that was initialised on another one: the client's own `initialize`, then what the client
 * had asked for since (log level, subscriptions). That the server refuses some of it does not keep the session from going on.
 */
export function reopen(line: LineClient, session: SessionHandle, deadline: Deadline): Promise<void> {
  return inTime(line, deadline, async (signal) => {
    await initialize(line, session.initializeText, signal);
    await restore(line, session.restore, signal);
  });
}

/** What a session had asked for, which a new line does not know of. */
export type Wanted = SessionHandle['restore'];

/** Asks for it; a server that refuses some of it has changed, and can be used all the same. */
export async function restore(line: LineClient, wanted: Wanted, signal?: AbortSignal): Promise<void> {
  const { logLevel, subscriptions } = wanted;
  const again = subscriptions.map((uri) => requestText('0', 'resources/subscribe', JSON.stringify({ uri })));
  if (logLevel !== undefined) again.unshift(setLevelText(logLevel));
  for (const text of again) await line.ask(text, signal);
}

export function setLevelText(level: string): string {
  return requestText('0', 'logging/setLevel', JSON.stringify({ level }));
}

/**
 * Opens a line that several sessions share; `then` is what else has to be asked before it is used. Resolves with the result of
 * `initialize`, as the server wrote it.
 */
export function openShared(
  line: LineClient,
  deadline: Deadline,
  then?: (signal: AbortSignal) => Promise<void>,
): Promise<string> {
  return inTime(line, deadline, async (signal) => {
    const { text } = await initialize(line, requestText('0', 'initialize', OWN_INITIALIZE), signal);
    await then?.(signal);
    const result = spanOf(text, ['result']);
    return result === undefined ? '{}' : text.slice(result.start, result.end);
  });
}

/**
 * Finds out whether a server that was initialised goes on to serve: a command that ends after its first answer does not answer
 * `ping`. Nothing else can be asked for that without the risk that it is done twice.
 */
export function goesOn(line: LineClient, deadline: Deadline): Promise<void> {
  return inTime(line, deadline, async (signal) => {
    await line.ask(requestText('0', 'ping'), signal);
  });
}

/** The server answered, and does not want to be initialised. */
export class InitializeRefused extends ProxyError {}

async function initialize(line: LineClient, text: string, signal: AbortSignal): Promise<Message> {
  const answer = await line.ask(text, signal);
  if (answer.value['error'] !== undefined) {
    const reason = JSON.stringify(answer.value['error']).slice(0, 300);
    throw new InitializeRefused('upstream_protocol', `the server (${line.name}) refused initialize: ${reason}`);
  }
  await line.notify(notificationText('notifications/initialized'));
  return answer;
}

/** Runs what is asked of a server before its line is used, all of it under one deadline. */
export async function inTime<T>(
  line: LineClient,
  deadline: Deadline,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const stop = afterSilence(deadline, () => late.abort(tooLate(line, deadline)));
  try {
    return await work(late.signal);
  } finally {
    stop();
  }
}

/**
 * Ends a line whose server says nothing at all in time after it was asked to `initialize`: what it was asked, and whoever
 * waits for the line, hears of it. Returns how to take that back.
 */
export function expectLife(line: LineClient, deadline: Deadline): () => void {
  const stop = afterSilence(deadline, () => {
    if (line.stats.received === 0) line.destroy(tooLate(line, deadline));
  });
  line.onClosed(stop);
  return stop;
}

function afterSilence({ clock, handshakeMs }: Deadline, fire: () => void): () => void {
  if (handshakeMs === 0) return () => {};
  const timer = clock.timer(handshakeMs, fire);
  return () => timer.cancel();
}

function tooLate(line: LineClient, { handshakeMs }: Deadline): ProxyError {
  const message = `the server (${line.name}) did not answer initialize, or what is asked right after it, within ${handshakeMs / 1000} s`;
  return new ProxyError('upstream_timeout', message);
}
