import { type IncomingMessage, STATUS_CODES } from 'node:http';
import { ProxyError } from '@shadowcat/kernel';
import { errorText } from '@shadowcat/wire';

type RefusalStatus = 400 | 417 | 431;

/** Why a request that Node accepted is no proper one, or `undefined`. */
export interface Refusal {
  readonly status: RefusalStatus;
  readonly error: ProxyError;
}

/**
 * Fields of which Node keeps the first of two. Whatever stands in front may have judged by the second (RFC 9112, 3.2, for Host).
 * By their length, which costs less to compare for each field than the name.
 */
const SINGLE: ReadonlyMap<number, string> = new Map(
  ['host', 'content-type', 'authorization'].map((name) => [name.length, name]),
);

/**
 * Checks what Node leaves open: fields that may come only once, header fields beyond its maximum, which it drops without a
 * word, and framings and versions that other hops read in another way.
 */
export function refusalOf(request: IncomingMessage, maxFields: number): Refusal | undefined {
  const { rawHeaders } = request;
  if (rawHeaders.length > 2 * maxFields) {
    return refusal(431, `the request has more than ${maxFields} header fields; send fewer`);
  }
  const doubled = doubledField(rawHeaders);
  if (doubled !== undefined) return refusal(400, `the request has more than one ${doubled} header`);
  const { headers, httpVersionMajor, httpVersionMinor } = request;
  if (headers.host === undefined && httpVersionMinor > 0) return refusal(400, 'the request has no Host header');
  if (httpVersionMajor !== 1) return refusal(400, `HTTP/${request.httpVersion} is not spoken here`);
  const { 'transfer-encoding': coding, expect } = headers;
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    return refusal(400, 'the request has a transfer coding other than chunked');
  }
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') {
    return refusal(417, 'the request expects something other than 100-continue');
  }
  return undefined;
}

function doubledField(rawHeaders: readonly string[]): string | undefined {
  let seen = '';
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const single = SINGLE.get(name.length);
    if (single === undefined || name.toLowerCase() !== single) continue;
    if (seen.includes(single)) return single === 'host' ? 'Host' : single;
    seen += single;
  }
  return undefined;
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

function refusal(status: RefusalStatus, message: string): Refusal {
  return { status, error: new ProxyError('invalid_request', message) };
}
