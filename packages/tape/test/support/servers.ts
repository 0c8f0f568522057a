import { type Exchange, type Handler, type Reply, reply } from '@shadowcat/kernel';
import { jsonReply, streamReply } from '@shadowcat/testkit';
import { callSlot, type JsonObject, type Message, SESSION_HEADER } from '@shadowcat/wire';
import { result } from './rig.js';

/** What a request is answered with: an object as JSON, or texts as the events of a stream. */
export type Answer = JsonObject | string | AsyncIterable<string | JsonObject> | Reply;
export type Answers = Readonly<Record<string, (message: Message, exchange: Exchange) => Answer>>;

let made = 0;

/** An MCP server of the legacy era as a handler; `answers` by method, or by tool as `tools/call:name`. */
export function legacyServer(answers: Answers = {}, options: { stateless?: boolean } = {}): Handler {
  return async (exchange) => {
    const call = exchange.context.get(callSlot);
    if (call?.verb === 'stream') return streamOf(answers, exchange);
    if (call?.verb === 'end') return reply({ status: 200, headers: {} });
    const message = call?.message;
    if (message === undefined || message.kind !== 'request') return taken(answers, message, exchange);
    if (message.method === 'initialize') return opened(message, options);
    const name =
      message.method === 'tools/call' ? `tools/call:${String((message.value['params'] as JsonObject)['name'])}` : '';
    const answer =
      answers[name] ??
      answers[message.method ?? ''] ??
      ((asked: Message) => result(asked.id, `answer of ${asked.method}`));
    return replyOf(answer(message, exchange));
  };
}

function opened(message: Message, options: { stateless?: boolean }): Reply {
  made += 1;
  const body = {
    jsonrpc: '2.0',
    id: message.id,
    result: {
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'server', version: '2' },
    },
  };
  return jsonReply(
    body,
    options.stateless === true ? {} : { headers: { [SESSION_HEADER]: `upstream-session-${made}` } },
  );
}

function taken(answers: Answers, message: Message | undefined, exchange: Exchange): Reply {
  if (message !== undefined) answers[message.method ?? '(response)']?.(message, exchange);
  return reply({ status: 202, headers: {} });
}

function streamOf(answers: Answers, exchange: Exchange): Reply {
  const events = answers['(stream)'];
  if (events === undefined)
    return jsonReply({ jsonrpc: '2.0', id: null, error: { code: -32000, message: 'no stream' } }, { status: 405 });
  return replyOf(events({ kind: 'notification', text: '', value: {} }, exchange));
}

function replyOf(answer: Answer): Reply {
  if (typeof answer === 'string') return jsonReply(answer);
  if (Symbol.asyncIterator in answer) return streamReply(eventsOf(answer as AsyncIterable<string | JsonObject>));
  if (Symbol.asyncDispose in answer) return answer as Reply;
  return jsonReply(answer as JsonObject);
}

async function* eventsOf(messages: AsyncIterable<string | JsonObject>): AsyncGenerator<string> {
  for await (const message of messages) {
    yield `event: message\ndata: ${typeof message === 'string' ? message : JSON.stringify(message)}\n\n`;
  }
}
