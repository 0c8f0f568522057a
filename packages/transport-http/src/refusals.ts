import { type IncomingMessage, STATUS_CODES } from 'node:http';
import { ProxyError } from '@shadowcat/kernel';
import { errorText } from '@shadowcat/wire';

/** Why a request that Node accepted is no proper one, or `undefined`. */
export interface Refusal {
  readonly status: 400 | 431;
  readonly error: ProxyError;
}

/**
 * Checks what Node leaves open. A request with two Host fields means different things to different hops (RFC 9112, 3.2),
 * and Node drops header fields beyond its maximum without a word.
 */
export function refusalOf(request: IncomingMessage, maxFields: number): Refusal | undefined {
  const { rawHeaders } = request;
  if (rawHeaders.length > 2 * maxFields) {
    return refusal(431, `the request has more than ${maxFields} header fields; send fewer`);
  }
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  if (hosts === 1 || (hosts === 0 && request.httpVersionMinor === 0)) return undefined;
  return refusal(400, hosts === 0 ? 'the request has no Host header' : 'the request has more than one Host header');
}

/** The answer to a request that Node's parser gave up on, by the parser's error code. */
export function malformedAnswer(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return rawAnswer(408, 'the request did not arrive in time');
    case 'HPE_HEADER_OVERFLOW':
      return rawAnswer(431, 'the header fields of the request are too many or too large');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return rawAnswer(413, 'the chunk extensions of the request are too large');
    default:
      return rawAnswer(400, `the request is not proper HTTP (${error.code ?? error.message})`);
  }
}

function rawAnswer(status: number, message: string): string {
  const body = errorText(new ProxyError('invalid_request', message), null);
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

function refusal(status: 400 | 431, message: string): Refusal {
  return { status, error: new ProxyError('invalid_request', message) };
}
