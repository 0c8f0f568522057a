import { type Connection, ProxyError } from '@shadowcat/kernel';
import { type JsonObject, type Message, notificationText, readLine, requestText, responseText } from '@shadowcat/wire';

/** Questions to one MCP server, one after the other. */
export interface Dialogue {
  /** The result. Rejects with {@link RpcRefusal} when the server answers with an error. */
  ask(method: string, params: JsonObject): Promise<JsonObject>;
  tell(method: string): Promise<void>;
  close(): Promise<void>;
}

/** The server's answer is a JSON-RPC error. */
export class RpcRefusal extends Error {
  override readonly name = 'RpcRefusal';
}

/** The result in an answer. Throws {@link RpcRefusal}. */
export function resultOf(answer: Message): JsonObject {
  const { result, error } = answer.value;
  if (isObject(error))
    throw new RpcRefusal(`${String(error['message'] ?? 'no message')} (${String(error['code'] ?? 'no code')})`);
  return isObject(result) ? result : {};
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A dialogue over a line; it owns the line. What the server asks in between is refused, except for `ping`. */
export function lineDialogue(line: Connection): Dialogue {
  const waiting = new Map<string, PromiseWithResolvers<JsonObject>>();
  let over: ProxyError | undefined;
  let count = 0;
  const take = (message: Message): void => {
    const idText = message.idText ?? 'null';
    if (message.kind === 'response') {
      const asked = waiting.get(idText);
      waiting.delete(idText);
      if (asked !== undefined) settle(asked, message);
    } else if (message.kind === 'request') {
      line.send(message.method === 'ping' ? responseText(idText, '{}') : refusal(idText)).catch(() => {});
    }
  };
  line.listen({
    message: (text) => {
      for (const message of readLine(text)) take(message);
    },
    closed: (reason) => {
      over = reason ?? new ProxyError('upstream_closed', 'the server closed the line');
      for (const asked of waiting.values()) asked.reject(over);
      waiting.clear();
    },
  });
  return {
    async ask(method, params) {
      if (over !== undefined) throw over;
      const idText = String(++count);
      const asked = Promise.withResolvers<JsonObject>();
      waiting.set(idText, asked);
      // When the line is over the answer is rejected with the reason, which says more than a failed write.
      line
        .send(requestText(idText, method, JSON.stringify(params)))
        .catch((error: unknown) => asked.reject(over ?? error));
      return asked.promise;
    },
    tell: (method) => line.send(notificationText(method)),
    close: async () => {
      await line[Symbol.asyncDispose]();
    },
  };
}

function settle(asked: PromiseWithResolvers<JsonObject>, answer: Message): void {
  try {
    asked.resolve(resultOf(answer));
  } catch (error) {
    asked.reject(error);
  }
}

const refusal = (idText: string): string =>
  `{"jsonrpc":"2.0","id":${idText},"error":{"code":-32601,"message":"not available during a check"}}`;
