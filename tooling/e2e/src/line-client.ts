import type { OwnedProcess } from './processes.js';

/** JSON-RPC over a child's stdin and stdout by hand, one line a message. */
export class LineClient {
  readonly #process: OwnedProcess;

  /** @param owned started with `stdin: 'pipe'` */
  constructor(owned: OwnedProcess) {
    this.#process = owned;
  }

  /** Writes a line as it is, or a value as JSON. */
  send(message: unknown): void {
    this.#process.stdin?.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
  }

  /** The line that answers request `id`, exactly as it was written. */
  async answerTo(id: number): Promise<string> {
    return this.#process.line(new RegExp(`^(?!.*"method":).*"id":${id}[,}]`));
  }

  async initialize(protocolVersion = '2025-11-25'): Promise<string> {
    const clientInfo = { name: 'e2e-line', version: '1.0.0' };
    const params = { protocolVersion, capabilities: {}, clientInfo };
    this.send({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
    const answer = await this.answerTo(0);
    this.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return answer;
  }

  call(id: number, name: string, args: unknown = {}): void {
    this.send({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });
  }

  /** Closes the child's stdin. */
  end(): void {
    this.#process.stdin?.end();
  }
}
