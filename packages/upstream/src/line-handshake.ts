import { type Clock, ProxyError } from '@shadowcat/kernel';
import {
  type LineClient,
  type Message,
  notificationText,
  requestText,
  type SessionHandle,
  spanOf,
} from '@shadowcat/wire';

/** How long a server may take to answer `initialize` and what has to be restored, in milliseconds. */
const HANDSHAKE_MS = 30_000;

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
export function reopen(line: LineClient, session: SessionHandle, clock: Clock): Promise<void> {
  return inTime(line, clock, async (signal) => {
    await initialize(line, session.initializeText, signal);
    const { logLevel, subscriptions } = session.restore;
    const again = subscriptions.map((uri) => requestText('0', 'resources/subscribe', JSON.stringify({ uri })));
    if (logLevel !== undefined)
      again.unshift(requestText('0', 'logging/setLevel', JSON.stringify({ level: logLevel })));
    for (const text of again) await line.ask(text, signal);
  });
}

/** Opens a line that several sessions share. Resolves with the result of `initialize`, as the server wrote it. */
export function openShared(line: LineClient, clock: Clock): Promise<string> {
  return inTime(line, clock, async (signal) => {
    const { text } = await initialize(line, requestText('0', 'initialize', OWN_INITIALIZE), signal);
    const result = spanOf(text, ['result']);
    return result === undefined ? '{}' : text.slice(result.start, result.end);
  });
}

/**
 * Finds out whether a server that was initialised goes on to serve: a command that ends after its first answer does not answer
 * `ping`. Nothing else can be asked for that without the risk that it is done twice.
 */
export function goesOn(line: LineClient, clock: Clock): Promise<void> {
  return inTime(line, clock, async (signal) => {
    await line.ask(requestText('0', 'ping'), signal);
  });
}

async function initialize(line: LineClient, text: string, signal: AbortSignal): Promise<Message> {
  const answer = await line.ask(text, signal);
  if (answer.value['error'] !== undefined) {
    const reason = JSON.stringify(answer.value['error']).slice(0, 300);
    throw new ProxyError('upstream_protocol', `the server (${line.name}) refused initialize: ${reason}`);
  }
  await line.notify(notificationText('notifications/initialized'));
  return answer;
}

/** Runs a handshake under one deadline. */
async function inTime<T>(line: LineClient, clock: Clock, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const timer = clock.timer(HANDSHAKE_MS, () => {
    const message = `the server (${line.name}) did not answer initialize within ${HANDSHAKE_MS / 1000} s`;
    late.abort(new ProxyError('upstream_timeout', message));
  });
  try {
    return await work(late.signal);
  } finally {
    timer.cancel();
  }
}
