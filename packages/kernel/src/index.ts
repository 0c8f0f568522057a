export {
  Body,
  type BodyEnd,
  type ByteSource,
  concat,
  type FrameObserver,
  type FrameResult,
  type FrameStep,
  type FrameTransform,
} from './body.js';
export type { Clock, Timer } from './clock.js';
export type { Connection, ConnectionSink } from './connection.js';
export { Context, overlaid, type Slot, slot } from './context.js';
export { continued } from './continued.js';
export { BLAME, type Blame, type ErrorCode, ProxyError, type ProxyErrorOptions } from './errors.js';
export { type Exchange, type RequestHead, withExchange } from './exchange.js';
export { Frame, type FrameParts, type SseFields } from './frame.js';
export { type FrameDecoder, type Framing, opaqueFraming } from './framing.js';
export type { Handler, Layer } from './handler.js';
export { type HeaderMap, headerOf, withHeaders } from './headers.js';
export { InFlight, Linked } from './in-flight.js';
export { type Log, silentLog } from './log.js';
export { type Reply, type ReplyHead, reply, withReply } from './reply.js';
