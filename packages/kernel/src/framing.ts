import { Frame } from './frame.js';

/** Cuts a byte stream into frames. Stateful, for one stream; every byte pushed comes out in exactly one frame. */
export interface FrameDecoder {
  /** The frames that `chunk` completed, in order. Throws `ProxyError` when a limit is exceeded. */
  push(chunk: Uint8Array): readonly Frame[];
  /** The stream ended: what was still incomplete, if it means something. */
  end(): readonly Frame[];
}

/** How messages lie in a byte stream. The implementations for MCP are in `@shadowcat/wire`. */
export interface Framing {
  readonly name: 'opaque' | 'json' | 'sse' | 'ndjson';
  decoder(): FrameDecoder;
  /** The bytes of a frame that has none of its own, or whose bytes belong to another framing. */
  encode(frame: Frame): Uint8Array;
}

/** Bytes nobody looks into: each chunk is a frame without a message. */
export const opaqueFraming: Framing = {
  name: 'opaque',
  decoder: () => ({ push: (bytes) => [new Frame({ bytes, text: null })], end: () => [] }),
  encode: (frame) => frame.bytes ?? new Uint8Array(0),
};
