import { type Exchange, type Layer, type Log, ProxyError, type Reply } from '@shadowcat/kernel';
import { callSlot, errorReply, failureSlot } from '@shadowcat/wire';
import { requestIds } from './call-parts.js';

export interface RescueComponents {
  readonly log: Log;
}

/**
 * Turns whatever is thrown further in into a reply: the status and JSON-RPC code of the one error table, with the id of
 * each request of the exchange. Sets `failureSlot` and logs, as loud as the one who is to blame needs. A body that fails
 * after its head was sent is its writer's business.
 */
export function rescue(components: RescueComponents): Layer {
  const { log } = components;
  return (next) => async (exchange) => {
    try {
      return await next(exchange);
    } catch (thrown) {
      return failed(exchange, thrown, log);
    }
  };
}

function failed(exchange: Exchange, thrown: unknown, log: Log): Reply {
  const error = ProxyError.from(thrown);
  exchange.context.set(failureSlot, error);
  report(exchange, error, log);
  const call = exchange.context.get(callSlot);
  return call === undefined ? errorReply(error) : errorReply(error, { idTexts: requestIds(call), era: call.era });
}

function report(exchange: Exchange, error: ProxyError, log: Log): void {
  const call = exchange.context.get(callSlot);
  const details = { exchange: exchange.id, code: error.code, method: call?.method };
  // When nobody waits any more, what went wrong is most likely that.
  if (error.blame === 'nobody' || exchange.signal.aborted) log.debug(details, error.message);
  else if (error.blame === 'proxy') log.error({ ...details, err: error.cause ?? error }, error.message);
  else if (error.blame === 'client') log.info(details, error.message);
  else log.warn({ ...details, ...causeOf(error) }, error.message);
}

function causeOf(error: ProxyError): { cause?: string } {
  return error.cause instanceof Error ? { cause: error.cause.message } : {};
}
