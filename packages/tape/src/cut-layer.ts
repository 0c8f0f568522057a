import {
  Body,
  type Clock,
  Frame,
  type HeaderMap,
  type Layer,
  opaqueFraming,
  ProxyError,
  type Reply,
  slot,
  withReply,
} from '@shadowcat/kernel';

/** Where the connection of an answer ends before the answer does. */
export interface Cut {
  /** Before which message, from 1. */
  readonly before: number;
  /** `reset`: the connection breaks. `close`: the stream ends in good order, and tells when to come back. */
  readonly how: 'reset' | 'close';
  readonly retryMs: number;
  /** Who wants it so, for messages. */
  readonly where: string;
}

/** Set by the replay where an answer is to be cut. */
export const cutSlot = slot<Cut>('cut');

/**
 * Cuts connections, not streams: belongs outside of what keeps streams for clients that come back, so that one that was cut
 * finds the rest. On a line, which cannot be cut for one request, the request gets an error.
 */
export function cutLayer({ clock }: { readonly clock: Clock }): Layer {
  return (next) => async (exchange) => {
    const answer = await next(exchange);
    const cut = exchange.context.get(cutSlot);
    return cut === undefined ? answer : shortened(answer, cut, clock);
  };
}

/** What was sent before a connection breaks gets so long to leave, in milliseconds: else it would be lost with it. */
export const LEAVE_MS = 20;

function shortened(answer: Reply, cut: Cut, clock: Clock): Reply {
  const { body } = answer;
  const head = { ...answer.head, headers: withoutLength(answer.head.headers) };
  if (body.ready !== undefined) {
    if (cut.before > 1) return answer;
    return withReply(answer, { head, body: Body.stream(halfOf(body.ready, cut, clock), opaqueFraming) });
  }
  if (cut.how === 'close') return withReply(answer, { head, body: Body.fromFrames(closing(body, cut), body.framing) });
  // No framing that could be completed with a last message: the connection breaks.
  return withReply(answer, { head, body: Body.stream(breaking(body, cut, clock), opaqueFraming) });
}

/** Nobody knows how long what is left of it will be. */
function withoutLength(headers: HeaderMap): HeaderMap {
  const kept = Object.entries(headers).filter(([name, value]) => name !== 'content-length' && value !== undefined);
  return Object.fromEntries(kept);
}

async function* halfOf(bytes: Uint8Array, cut: Cut, clock: Clock): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes.subarray(0, Math.ceil(bytes.length / 2));
  if (cut.how === 'close') return;
  await left(clock);
  throw broken(cut);
}

async function* closing(body: Body, { before, retryMs }: Cut): AsyncGenerator<Frame, void, undefined> {
  let seen = 0;
  for await (const frame of body.frames()) {
    if (holdsMessage(frame)) seen += 1;
    if (seen >= before) {
      yield new Frame({ text: null, sse: { retry: retryMs } });
      return;
    }
    yield frame;
  }
}

const encoder = new TextEncoder();

async function* breaking(body: Body, cut: Cut, clock: Clock): AsyncGenerator<Uint8Array, void, undefined> {
  let seen = 0;
  // Before the head has left, a failure would still become an answer.
  if (body.framing.name === 'sse') yield encoder.encode(':\n\n');
  for await (const frame of body.frames()) {
    if (holdsMessage(frame)) seen += 1;
    if (seen >= cut.before) {
      await left(clock);
      throw broken(cut);
    }
    yield frame.bytes ?? body.framing.encode(frame);
  }
}

function left(clock: Clock): Promise<void> {
  return new Promise((resolve) => void clock.timer(LEAVE_MS, resolve));
}

function holdsMessage({ text }: Frame): boolean {
  return text !== undefined && text !== '';
}

function broken({ where }: Cut): ProxyError {
  return new ProxyError('upstream_closed', `the connection was cut here, as ${where} wants it`);
}
