import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** Answers an upgrade request with an ordinary HTTP response and ends the connection. */
export function refuse(socket: Duplex, refusal: { readonly status: number; readonly message: string }): void {
  const { status, message } = refusal;
  const body = `${message}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`,
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  if (status === 426) head.push('Upgrade: websocket');
  if (status === 503) head.push('Retry-After: 5');
  // The other end may keep its half open for ever; ours being written is all we wait for.
  socket.once('finish', () => socket.destroy());
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
