import { Body, type Exchange, type Handler, type Layer, ProxyError, type Reply, withExchange } from '@shadowcat/kernel';
import {
  type Call,
  callSlot,
  checkModernHeaders,
  classify,
  jsonFraming,
  type ReadLimits,
  readMessages,
} from '@shadowcat/wire';

/** Bounds on what a body may hold; those of `ReadLimits` are documented there. */
export interface ClassifyOptions extends ReadLimits {
  /** In bytes. Default 4 MiB. */
  readonly maxBody?: number;
}

/** The one revision that has JSON-RPC batches. */
const BATCHES = '2025-03-26';

/**
 * Reads the body of a POST once and in whole, finds out what the exchange asks for, and sets `callSlot`. Inside of this
 * layer the body is there (`Body.ready`) and well formed. Throws for bodies, batches and modern headers that are not as
 * the specification wants them; the exchange's ids are known by then wherever they can be.
 */
export function classifyLayer(options: ClassifyOptions = {}): Layer {
  const maxBody = options.maxBody ?? 4 * 1024 * 1024;
  return (next) => (exchange) =>
    exchange.head.method === 'POST' ? post({ next, maxBody, options }, exchange) : bodiless(next, exchange);
}

interface Reading {
  readonly next: Handler;
  readonly maxBody: number;
  readonly options: ClassifyOptions;
}

async function post(reading: Reading, exchange: Exchange): Promise<Reply> {
  const bytes = await exchange.body.collect(reading.maxBody);
  const { batch, messages } = readMessages(bytes, reading.options);
  const call = classify(exchange.head, messages, batch);
  exchange.context.set(callSlot, call);
  const problem = call.era === 'modern' ? checkModernHeaders(exchange.head, call) : batchProblem(call);
  if (problem !== undefined) throw problem;
  return reading.next(withExchange(exchange, { body: Body.whole(bytes, jsonFraming) }));
}

function bodiless(next: Handler, exchange: Exchange): Promise<Reply> {
  const call = classify(exchange.head, [], false);
  exchange.context.set(callSlot, call);
  if (call.era === 'legacy') return next(exchange);
  const message = `${exchange.head.method} is not used in this revision of MCP; everything is a POST`;
  return Promise.reject(new ProxyError('method_not_allowed', message));
}

function batchProblem({ batch, messages, protocolVersion }: Call): ProxyError | undefined {
  if (!batch) return undefined;
  // Clients of the revision that has batches do not send the header yet.
  if (protocolVersion !== undefined && protocolVersion !== BATCHES) {
    return new ProxyError('invalid_request', `MCP ${protocolVersion} has no JSON-RPC batches: send one message a POST`);
  }
  if (messages.some(({ method }) => method === 'initialize')) {
    return new ProxyError('invalid_request', 'initialize may not be part of a batch');
  }
  return undefined;
}
