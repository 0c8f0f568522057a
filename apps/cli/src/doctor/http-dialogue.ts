import { type Handler, type HeaderMap, headerOf, ProxyError, type Reply } from '@shadowcat/kernel';
import {
  claimedVersion,
  type Message,
  modernHeaders,
  notificationText,
  readLine,
  readMessage,
  requestText,
  SESSION_HEADER,
  VERSION_HEADER,
} from '@shadowcat/wire';
import { clientExchange } from '../stack/client-exchange.js';
import { type Dialogue, resultOf } from './dialogue.js';

const BASE: HeaderMap = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** A dialogue with a Streamable HTTP server behind `handler`; keeps its session and deletes it at the end. */
export function httpDialogue(handler: Handler, signal: AbortSignal): Dialogue {
  let session: string | undefined;
  let revision: string | undefined;
  let count = 0;

  const send = async (method: 'POST' | 'DELETE', text: string | undefined): Promise<Reply> => {
    const message = text === undefined ? undefined : readMessage(text);
    const legacy: HeaderMap = { [SESSION_HEADER]: session, [VERSION_HEADER]: revision };
    const modern = message !== undefined && claimedVersion(message) !== undefined;
    const headers = { ...BASE, ...(modern ? modernHeaders(message) : legacy) };
    return handler(clientExchange({ id: 'doctor', method, headers, message, signal }));
  };

  return {
    async ask(method, params) {
      const idText = String(++count);
      await using reply = await send('POST', requestText(idText, method, JSON.stringify(params)));
      const result = resultOf(await answerIn(reply, idText));
      if (method === 'initialize') {
        session = headerOf(reply.head.headers, SESSION_HEADER);
        revision = typeof result['protocolVersion'] === 'string' ? result['protocolVersion'] : undefined;
      }
      return result;
    },
    async tell(method) {
      await using _reply = await send('POST', notificationText(method));
    },
    async close() {
      if (session === undefined) return;
      await using _reply = await send('DELETE', undefined);
    },
  };
}

/** The answer to one request, in a JSON body or in a stream. */
async function answerIn(reply: Reply, idText: string): Promise<Message> {
  const { status } = reply.head;
  for await (const frame of reply.body.frames()) {
    for (const message of readLine(frame.text ?? '')) {
      if (message.kind === 'response' && (message.idText === idText || status >= 400)) return message;
    }
  }
  const what = status >= 400 ? `HTTP ${status}` : 'no answer to the request';
  throw new ProxyError('upstream_protocol', `the server gave ${what}; is this the address of an MCP endpoint?`);
}
