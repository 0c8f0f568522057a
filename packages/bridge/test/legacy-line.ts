import { type Clock, type Exchange, type Handler, ProxyError, reply, silentLog } from '@shadowcat/kernel';
import { memoryLine } from '@shadowcat/testkit';
import { callSlot, errorReply, type JsonObject, LineClient, StandingStream, sessionSlot } from '@shadowcat/wire';

/** What a server at the end of a line reads, and what it may do then. */
export interface LineTalk {
  readonly message: JsonObject & { readonly method?: string; readonly id?: number | string };
  readonly line: LegacyLine;
}

export interface LegacyLine extends Handler {
  /** Everything that the server read, in order. */
  readonly heard: JsonObject[];
  says(message: object): void;
  dies(): void;
  /** What it read last of this method. */
  last(method: string): (JsonObject & { readonly params: JsonObject }) | undefined;
}

/**
 * A legacy server at the end of one line in memory: nothing that it says names the request that it belongs to, except
 * answers. It refuses `server/discover` and opens sessions by itself; `hears` gets the rest.
 */
export function legacyLine(hears: (talk: LineTalk) => void, clock: Clock): LegacyLine {
  const { near, far } = memoryLine({ capacity: 20_000 });
  const heard: JsonObject[] = [];
  const says = (message: object): void =>
    void far.send(JSON.stringify({ jsonrpc: '2.0', ...message })).catch(() => undefined);
  const client = new LineClient(near, { shared: false }, { clock, log: silentLog, newId: () => 'l' });
  const handler = async (exchange: Exchange) => {
    const call = exchange.context.get(callSlot);
    const session = exchange.context.get(sessionSlot);
    if (call?.method === 'server/discover') {
      const error = new ProxyError('method_not_allowed', 'unknown');
      return errorReply(error, { idTexts: [call.message?.idText ?? 'null'] });
    }
    if (exchange.head.method === 'DELETE') return reply({ status: 200, headers: {} });
    if (exchange.head.method !== 'GET' || session === undefined) return client.exchange(exchange);
    const stream = new StandingStream({ session });
    client.attach(stream);
    return stream.reply;
  };
  const line: LegacyLine = Object.assign(handler, {
    heard,
    says,
    dies: () => client.destroy(new ProxyError('child_exited', 'it exited with code 3')),
    last: (method: string) => heard.findLast((message) => message['method'] === method) as never,
  });
  const serverInfo = { name: 'old', version: '1' };
  far.listen({
    message: (text) => {
      const message = JSON.parse(text) as LineTalk['message'];
      heard.push(message);
      const { id, method } = message;
      if (method === 'initialize') {
        says({ id, result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo } });
      } else hears({ message, line });
    },
    closed: () => undefined,
  });
  return line;
}
