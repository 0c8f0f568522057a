import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Status line and fields, in lower case. */
  readonly fields: string;
  readonly body: string;
}

/** A TCP connection to an HTTP server, byte for byte. Dispose it to cut it. */
export class RawConnection {
  readonly socket: Socket;
  readonly #host: string;
  #bytes = '';
  #closed = false;
  #wake: (() => void)[] = [];

  /** @param host the server's authority, such as `127.0.0.1:8080` */
  constructor(host: string) {
    this.#host = host;
    const [name, port] = host.split(':');
    this.socket = connect({ port: Number(port), host: name });
    this.socket.setEncoding('latin1');
    this.socket.on('error', () => {});
    this.socket.on('data', (chunk: string) => {
      this.#bytes += chunk;
      this.#wakeAll();
    });
    this.socket.on('close', () => {
      this.#closed = true;
      this.#wakeAll();
    });
  }

  /** What came and was not taken yet, a character a byte. */
  get pending(): string {
    return this.#bytes;
  }

  /** `HOST` in a text stands for the server's authority. */
  write(raw: string | Uint8Array): void {
    this.socket.write(typeof raw === 'string' ? raw.replaceAll('HOST', this.#host) : raw);
  }

  /** The next answer; one without a length has no body here. `undefined`: the connection was closed before. */
  async answer(): Promise<RawAnswer | undefined> {
    for (;;) {
      const end = this.#bytes.indexOf('\r\n\r\n');
      const fields = this.#bytes.slice(0, end);
      const length = Number(/^content-length: (\d+)$/im.exec(fields)?.[1] ?? 0);
      if (end >= 0 && this.#bytes.length >= end + 4 + length) {
        const body = this.take(end + 4 + length).slice(end + 4);
        return { status: Number(fields.split(' ', 2)[1]), fields: fields.toLowerCase(), body };
      }
      if (this.#closed) return undefined;
      await this.more();
    }
  }

  /** Takes so many bytes of what came. */
  take(length: number): string {
    const taken = this.#bytes.slice(0, length);
    this.#bytes = this.#bytes.slice(length);
    return taken;
  }

  /** Resolves when something more came, or nothing more will. */
  more(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  async closed(): Promise<void> {
    while (!this.#closed) await this.more();
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #wakeAll(): void {
    for (const each of this.#wake.splice(0)) each();
  }
}
