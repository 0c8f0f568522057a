import { type Exchange, type Handler, ProxyError, type Reply } from '@shadowcat/kernel';
import {
  ask,
  failureText,
  jsonReply,
  META_SERVER_INFO,
  type Message,
  MODERN,
  modernExchange,
  objectAt,
  readMessage,
  requestText,
  responseText,
  SESSION_HEADER,
  textAt,
  withMembers,
} from '@shadowcat/wire';
import { clientFacts } from './client-facts.js';
import { legacyAnswer } from './legacy-answer.js';
import { modernText } from './modern-request.js';

export interface HandshakeParts {
  /** The client's `initialize`. */
  readonly message: Message;
  readonly exchange: Exchange;
  readonly upstream: Handler;
  readonly target: string;
  /** What the session is called upstream from now on. */
  readonly sessionId: string;
  /** An id for a request to the server, as JSON. */
  readonly idText: string;
  readonly signal: AbortSignal;
}

/** Answers `initialize` with what the server says to `server/discover`. Rejects with what kept it from answering. */
export async function handshake(parts: HandshakeParts): Promise<Reply> {
  const { message, exchange, upstream, signal } = parts;
  const client = clientFacts(message.text);
  const discover = readMessage(requestText(parts.idText, 'server/discover', '{}'));
  if (discover === undefined) throw new ProxyError('internal', 'the bridge made a request that is none');
  const text = modernText(discover, { client, logLevel: undefined });
  const posted = await ask(upstream, modernExchange({ text, client: exchange, signal }));
  if (posted.kind === 'refused') return posted.reply;
  const idText = message.idText ?? 'null';
  const answer = posted.message;
  const result = objectAt(answer.value, 'result');
  if (result === undefined) {
    return jsonReply(legacyAnswer(answer, { method: 'initialize', idText, wrapped: false }));
  }
  const versions = result['supportedVersions'];
  if (Array.isArray(versions) && !versions.includes(MODERN)) {
    const known = versions.map(String).join(', ');
    const message = `the server speaks MCP ${known}; the proxy can bridge to ${MODERN} only`;
    return jsonReply(failureText(idText, { code: -32603, message }));
  }
  const opened = responseText(idText, initializeResult(answer.text, client.protocolVersion, parts.target));
  return jsonReply(opened, { headers: { [SESSION_HEADER]: parts.sessionId } });
}

/** A result of `server/discover` as one of `initialize`. Capabilities have the same shape in both. */
function initializeResult(discovered: string, version: string, target: string): string {
  const capabilities = textAt(discovered, ['result', 'capabilities']) ?? '{}';
  const info =
    textAt(discovered, ['result', '_meta', META_SERVER_INFO]) ?? textAt(discovered, ['result', 'serverInfo']);
  return withMembers('{}', [], {
    protocolVersion: JSON.stringify(version),
    capabilities: withMembers(capabilities, [], { tasks: undefined }),
    serverInfo: info ?? JSON.stringify({ name: target, version: 'unknown' }),
    instructions: textAt(discovered, ['result', 'instructions']),
  });
}
