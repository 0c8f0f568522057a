import { type Layer, withExchange, withHeaders } from '@shadowcat/kernel';
import { objectAt } from './json-object.js';
import { ParamHeaders } from './param-headers.js';
import { errorReply } from './replies.js';
import { seenResult } from './seen-result.js';
import { callSlot, peerSlot } from './slots.js';

export interface ToolParamHeadersOptions {
  /**
   * Whether the headers of HTTP clients are validated here, in place of a server that cannot see them: one at the end of a
   * line, or of a legacy revision.
   */
  readonly validate: boolean;
}

/**
 * The `Mcp-Param-*` headers of modern tool calls (2026-07-28, `x-mcp-header`), in front of one target: those of clients on a
 * line, who send none, are made from the body; those of HTTP clients are validated, if asked for. Which there have to be is
 * learnt from the tool lists that pass; a tool that was never listed is not judged. A call that does not agree is answered
 * with `header_mismatch`. Needs `callSlot` and, for HTTP clients, `peerSlot`.
 */
export function toolParamHeaders({ validate }: ToolParamHeadersOptions): Layer {
  const known = new ParamHeaders();
  return (next) => (exchange) => {
    const call = exchange.context.get(callSlot);
    if (call?.era !== 'modern') return next(exchange);
    const overHttp = exchange.context.get(peerSlot) !== undefined;
    if (overHttp && !validate) return next(exchange);
    if (call.method === 'tools/list')
      return next(exchange).then((reply) => seenResult(reply, (result) => known.learn(result)));
    if (call.method !== 'tools/call' || !known.knows(call.target)) return next(exchange);
    const params = objectAt(call.message?.value, 'params');
    const { head } = exchange;
    if (!overHttp) {
      const headers = withHeaders(head.headers, known.of(params));
      return next(withExchange(exchange, { head: { ...head, headers } }));
    }
    const problem = known.check(head.headers, params);
    if (problem === undefined) return next(exchange);
    return Promise.resolve(errorReply(problem, { idTexts: [call.message?.idText ?? 'null'] }));
  };
}
