import { RawConnection } from './raw-connection.js';

/** How a WebSocket ended: the code and the text of the close frame; 1006 without one. */
export interface RawClose {
  readonly code: number;
  readonly text: string;
}

/** RFC 6455, 5.2. */
export const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface OpenOptions {
  readonly path?: string;
  /** Fields over those of a proper handshake; `undefined` leaves one out. */
  readonly fields?: Readonly<Record<string, string | undefined>>;
}

/** A WebSocket client by hand: it sends what it is told to, answers no ping and reads only when it is asked to. */
export class RawWebSocket {
  readonly wire: RawConnection;
  /** Frames other than texts that came so far, by opcode. */
  readonly control: { readonly opcode: number; readonly payload: Buffer }[] = [];

  constructor(wire: RawConnection) {
    this.wire = wire;
  }

  /** @throws with the status when the server does not switch protocols */
  static async open(url: string, options: OpenOptions = {}): Promise<RawWebSocket> {
    const wire = new RawConnection(new URL(url).host);
    wire.write(handshake(options));
    const answer = await wire.answer();
    if (answer?.status === 101) return new RawWebSocket(wire);
    wire[Symbol.dispose]();
    throw new Error(`HTTP ${answer?.status}: ${answer?.body ?? ''}`);
  }

  /** One frame, final unless it is said not to be. */
  frame(
    payload: string | Uint8Array,
    { opcode = OPCODE.text, fin = true }: { opcode?: number; fin?: boolean } = {},
  ): void {
    const bytes = Buffer.from(payload);
    const first = (fin ? 0x80 : 0) | opcode;
    this.wire.write(Buffer.concat([frameHead(first, bytes.length), bytes]));
  }

  send(message: unknown): void {
    this.frame(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The next text. @throws when the socket is closed instead */
  async text(): Promise<string> {
    const frame = await this.#next();
    if (frame === undefined || frame.opcode === OPCODE.close) {
      throw new Error(`no text but the end: ${JSON.stringify(closeOf(frame?.payload))}`);
    }
    if (frame.opcode === OPCODE.text) return frame.payload.toString();
    this.control.push(frame);
    return this.text();
  }

  /** The text that answers request `id`; what comes before it is given to `others`. */
  async answerTo(id: number | string, others: string[] = []): Promise<Record<string, unknown>> {
    for (;;) {
      const text = await this.text();
      const message = JSON.parse(text) as Record<string, unknown>;
      if (message['id'] === id && message['method'] === undefined) return message;
      others.push(text);
    }
  }

  /** Waits for the end; texts that come before it are dropped. */
  async closed(): Promise<RawClose> {
    for (;;) {
      const frame = await this.#next();
      if (frame === undefined || frame.opcode === OPCODE.close) return closeOf(frame?.payload);
    }
  }

  [Symbol.dispose](): void {
    this.wire[Symbol.dispose]();
  }

  async #next(): Promise<{ readonly opcode: number; readonly payload: Buffer } | undefined> {
    for (;;) {
      const bytes = Buffer.from(this.wire.pending.slice(0, 10), 'latin1');
      const size = sizeOf(bytes);
      if (size !== undefined && this.wire.pending.length >= size.head + size.payload) {
        this.wire.take(size.head);
        return { opcode: (bytes[0] ?? 0) & 0x0f, payload: Buffer.from(this.wire.take(size.payload), 'latin1') };
      }
      if (this.wire.isClosed) return undefined;
      await this.wire.more();
    }
  }
}

/** The opening request; `HOST` is the server's authority. */
export function handshake({ path = '/mcp', fields = {} }: OpenOptions): string {
  const all: Readonly<Record<string, string | undefined>> = {
    Host: 'HOST',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol': 'mcp',
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\r\n`]));
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** Masked with zeros, as a client has to mask. */
function frameHead(first: number, length: number): Buffer {
  const head = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14);
  head[0] = first;
  head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (head.length === 8) head.writeUInt16BE(length, 2);
  if (head.length === 14) head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}

function sizeOf(bytes: Buffer): { readonly head: number; readonly payload: number } | undefined {
  const length = (bytes[1] ?? 0) & 0x7f;
  if (bytes.length < 2 || (length === 126 && bytes.length < 4) || (length === 127 && bytes.length < 10))
    return undefined;
  if (length === 126) return { head: 4, payload: bytes.readUInt16BE(2) };
  return length === 127 ? { head: 10, payload: Number(bytes.readBigUInt64BE(2)) } : { head: 2, payload: length };
}

function closeOf(payload: Buffer | undefined): RawClose {
  if (payload === undefined) return { code: 1006, text: '' };
  return payload.length < 2
    ? { code: 1005, text: '' }
    : { code: payload.readUInt16BE(0), text: payload.subarray(2).toString() };
}
