import {
  Body,
  type Exchange,
  type Frame,
  type FrameTransform,
  type Handler,
  type Layer,
  overlaid,
  ProxyError,
  type Reply,
  withExchange,
  withHeaders,
  withReply,
} from '@shadowcat/kernel';
import { type Call, callSlot, classify, failureSlot, jsonFraming, readMessage, sessionSlot } from '@shadowcat/wire';
import { IdTable, type Renamed } from './unique-ids-table.js';
import { answeredIds, cancelledText, type Find, renamedText, restoredText } from './unique-ids-texts.js';

export interface UniqueIdsComponents {
  /** Makes an id that no client makes by itself. */
  readonly newId: () => string;
}

interface Inside {
  readonly table: IdTable;
  readonly next: Handler;
}

const encoder = new TextEncoder();

/**
 * Keeps the ids in flight on one legacy session apart. To keep them unique is the client's business (2025-11-25, Basic
 * Protocol, "Requests"), but some send the same id with every request, and servers built on the SDKs then send one request's
 * answer to the other and never answer that one. A request whose id is in use gets an id of ours, for its progress
 * token too; whatever comes for it has the client's again. All other requests pass as they are, at the price of one
 * look at a short list. Needs `callSlot`; without `sessionSlot` nothing is shared and nothing is done.
 *
 * An id is in use until its answer came. If the client left before that, or the upstream's stream was given up, it stays in
 * use: the server may still be at work, and its answer would be taken for that of the next request.
 */
export function uniqueIds({ newId }: UniqueIdsComponents): Layer {
  const tables = new WeakMap<object, IdTable>();
  return (next) => (exchange) => {
    const session = exchange.context.get(sessionSlot);
    const call = exchange.context.get(callSlot);
    if (session === undefined || call === undefined || call.era === 'modern') return next(exchange);
    let table = tables.get(session);
    if (table === undefined) {
      table = new IdTable(newId);
      tables.set(session, table);
    }
    if (call.expectsAnswer) return ask(exchange, call, { table, next });
    if (call.verb === 'stream') return listen(exchange, { table, next });
    return table.hasRenamed ? send(exchange, call, { table, next, mine: undefined }) : next(exchange);
  };
}

/** A POST with requests. */
async function ask(exchange: Exchange, call: Call, inside: Inside): Promise<Reply> {
  const { table, next } = inside;
  const mine = table.take(call.messages);
  const over = (answered: boolean): void => table.over(call.messages, { mine, answered });
  let answer: Reply;
  try {
    answer = table.hasRenamed ? await send(exchange, call, { table, next, mine }) : await next(exchange);
  } catch (thrown) {
    // Of all that can go wrong, only this says that the server has not seen the request.
    over(ProxyError.from(thrown).code === 'upstream_unreachable');
    throw thrown;
  }
  const find: Find = (id) => mine?.find((renamed) => renamed?.fresh === id);
  const body = mine === undefined ? undefined : answer.body.with(restoring(find));
  // What is no stream is the answer, and so is a stream that is there as a whole.
  if (answer.body.framing.name !== 'sse' || answer.body.ready !== undefined) {
    over(true);
    return body === undefined ? answer : withReply(answer, { body });
  }
  let open = true;
  const dispose = (): void => {
    // A stream is disposed after its end, unless the client left or the upstream's stream was given up.
    if (open) over(!exchange.signal.aborted && exchange.context.get(failureSlot) === undefined);
    open = false;
  };
  return withReply(answer, body === undefined ? { dispose } : { body, dispose });
}

/** Sends a POST with other ids, where they have to be others. */
function send(
  exchange: Exchange,
  call: Call,
  { table, next, mine }: Inside & { readonly mine: readonly (Renamed | undefined)[] | undefined },
): Promise<Reply> {
  let changed = false;
  const messages = call.messages.map((message, at) => {
    const renamed = mine?.[at];
    const text = renamed === undefined ? cancelledText(message, table) : renamedText(message, renamed);
    if (text === message.text) return message;
    changed = true;
    return readMessage(text) ?? message;
  });
  if (!changed) return next(exchange);
  const texts = messages.map(({ text }) => text);
  const bytes = encoder.encode(call.batch ? `[${texts.join(',')}]` : texts[0]);
  const { headers } = exchange.head;
  const sized =
    headers['content-length'] === undefined ? headers : withHeaders(headers, { 'content-length': `${bytes.length}` });
  const head = { ...exchange.head, headers: sized };
  // Those outside speak of the client's ids, at any time: whoever ends the exchange with an error, for one.
  const context = overlaid(exchange.context, callSlot, classify(head, messages, call.batch));
  return next(withExchange(exchange, { head, body: Body.whole(bytes, jsonFraming), context }));
}

/** The session's GET stream can bring what a request's own stream did not, when the client resumes that. */
async function listen(exchange: Exchange, { table, next }: Inside): Promise<Reply> {
  const answer = await next(exchange);
  if (answer.body.framing.name !== 'sse') return answer;
  const restore = restoring((id) => table.find(id));
  const step: FrameTransform = {
    transforms: true,
    frame: (frame) => {
      if (!table.remembers) return frame;
      const result = restore.frame(frame);
      for (const id of answeredIds(frame.message)) table.settle(id);
      return result;
    },
  };
  return withReply(answer, { body: answer.body.with(step) });
}

function restoring(find: Find): { readonly transforms: true; frame(frame: Frame): Frame } {
  return {
    transforms: true,
    frame: (frame) => {
      const text = restoredText(frame, find);
      return text === undefined ? frame : frame.replace(text);
    },
  };
}
