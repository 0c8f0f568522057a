import { concat, Frame, type FrameDecoder, type Framing, ProxyError } from '@shadowcat/kernel';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const NO_BYTES = new Uint8Array(0);

/** How much of a JSON body is gathered before it is refused. Only bodies that some layer reads are gathered. */
const BODY_LIMIT = 32 * 1024 * 1024;

/** A body that is one JSON text: one message, or the array of a batch. It becomes one frame when it is complete. */
export const jsonFraming: Framing = {
  name: 'json',
  decoder: () => new JsonDecoder(),
  encode: (frame) => (frame.text === undefined ? NO_BYTES : encoder.encode(frame.text)),
};

class JsonDecoder implements FrameDecoder {
  readonly #chunks: Uint8Array[] = [];
  #size = 0;

  push(chunk: Uint8Array): readonly Frame[] {
    this.#size += chunk.length;
    if (this.#size > BODY_LIMIT) {
      throw new ProxyError('upstream_protocol', `a JSON body is larger than ${BODY_LIMIT} bytes`);
    }
    this.#chunks.push(chunk);
    return [];
  }

  end(): readonly Frame[] {
    if (this.#size === 0) return [];
    const bytes = concat(this.#chunks, this.#size);
    // RFC 8259, section 8.1: a byte order mark may be ignored, and HTTP clients do.
    const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    return [new Frame(marked ? { bytes, text: decoder.decode(bytes.subarray(3)) } : { bytes })];
  }
}
