import { type Clock, ProxyError } from '@shadowcat/kernel';
import { type LineClient, type Message, notificationText, requestText, type SessionHandle } from '@shadowcat/wire';

/** How long a server may take to answer `initialize`, in milliseconds. */
const HANDSHAKE_MS = 30_000;

/** What the proxy says of itself where it is the client. Without the capabilities that need one particular client. */
const OWN_INITIALIZE = JSON.stringify({
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'shadowcat', version: '1' },
});

/**
 * Opens a fresh line for a session that was initialised on another one: the client's own `initialize`, then what the client
 * had asked for since (log level, subscriptions). What cannot be restored does not keep the session from going on.
 */
export async function reopen(line: LineClient, session: SessionHandle, clock: Clock): Promise<void> {
  await initialize(line, session.initializeText, clock);
  const { logLevel, subscriptions } = session.restore;
  const again = subscriptions.map((uri) => requestText('0', 'resources/subscribe', JSON.stringify({ uri })));
  if (logLevel !== undefined) again.unshift(requestText('0', 'logging/setLevel', JSON.stringify({ level: logLevel })));
  for (const text of again) await line.ask(text);
}

/** Opens a line that several sessions share. Resolves with the result of `initialize`, as JSON text. */
export async function openShared(line: LineClient, clock: Clock): Promise<string> {
  const answer = await initialize(line, requestText('0', 'initialize', OWN_INITIALIZE), clock);
  return JSON.stringify(answer.value['result']);
}

async function initialize(line: LineClient, text: string, clock: Clock): Promise<Message> {
  const late = new AbortController();
  const timer = clock.timer(HANDSHAKE_MS, () => {
    const message = `the server (${line.name}) did not answer initialize within ${HANDSHAKE_MS / 1000} s`;
    late.abort(new ProxyError('upstream_timeout', message));
  });
  try {
    const answer = await line.ask(text, late.signal);
    if (answer.value['error'] !== undefined) {
      const reason = JSON.stringify(answer.value['error']).slice(0, 300);
      throw new ProxyError('upstream_protocol', `the server (${line.name}) refused initialize: ${reason}`);
    }
    await line.notify(notificationText('notifications/initialized'));
    return answer;
  } finally {
    timer.cancel();
  }
}
