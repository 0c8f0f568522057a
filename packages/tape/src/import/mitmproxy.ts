import { type HeaderMap, headerOf, ProxyError } from '@shadowcat/kernel';
import { headerMapOf } from './header-fields.js';
import type { Decode, ImportedExchange, ImportedLine, ImportedResponse } from './imported.js';
import type { Losses } from './losses.js';
import { readTnetstring, type TDict, type TValue } from './tnetstring.js';

/** The oldest format of flows whose requests look as they do today (mitmproxy 5), and the newest one that was tried or read about. */
const OLDEST = 7;
const NEWEST = 21;

const latin1 = new TextDecoder('latin1');
const utf8 = new TextDecoder('utf-8');

/**
 * The HTTP exchanges of flows as `mitmdump -w` writes them, in the order of the file. A file that ends in the middle of a flow gives those before it; `losses`
 * is told. Bodies are decoded when they are asked for: most of a file may be other traffic. Throws `tape_invalid`, naming the flow and the byte, for
 * what is no flow.
 */
export function readFlows(bytes: Uint8Array, losses: Losses, decode: Decode): ImportedExchange[] {
  const exchanges: ImportedExchange[] = [];
  let newest = 0;
  for (let at = 0, number = 1; at < bytes.length; number += 1) {
    const where = `flow ${number} at byte ${at}`;
    const found = flowAt(bytes, at, number);
    if (found === undefined) {
      losses.remark(`the file ends in the middle of ${where}: what is before was imported`);
      break;
    }
    at = found.next;
    const flow = found.value;
    if (!(flow instanceof Map)) throw new ProxyError('tape_invalid', `${where}: this is no flow`);
    newest = Math.max(newest, versionOf(flow, where));
    const exchange = exchangeOf(flow, where, { losses, decode });
    if (exchange === undefined) losses.add('foreign');
    else exchanges.push(exchange);
  }
  if (newest > NEWEST) losses.remark(`the flows have format ${newest}; ${NEWEST} is the newest that is known`);
  return exchanges;
}

function flowAt(bytes: Uint8Array, at: number, number: number): ReturnType<typeof readTnetstring> {
  try {
    return readTnetstring(bytes, at);
  } catch (error) {
    throw new ProxyError('tape_invalid', `flow ${number}, ${ProxyError.from(error).message}`, { cause: error });
  }
}

function versionOf(flow: TDict, where: string): number {
  const version = flow.get('version');
  if (typeof version === 'number' && version >= OLDEST) return version;
  const named =
    typeof version === 'number' ? `flow format ${version} is` : 'flows without a version of their format are';
  throw new ProxyError(
    'tape_invalid',
    `${where}: ${named} older than mitmproxy 5: open the file with a newer mitmproxy and save it again`,
  );
}

interface Parts {
  readonly losses: Losses;
  readonly decode: Decode;
}

/** `undefined`: no HTTP. */
function exchangeOf(flow: TDict, where: string, parts: Parts): ImportedExchange | undefined {
  const request = dict(flow.get('request'));
  if (request === undefined || text(flow.get('type')) !== 'http') return undefined;
  const headers = headersOf(request.get('headers'));
  const response = dict(flow.get('response'));
  const error = dict(flow.get('error'));
  const frames = framesOf(dict(flow.get('websocket')), where);
  const body = once(() => bodyOf(request, headers, parts));
  return {
    where,
    method: text(request.get('method')).toUpperCase(),
    url: urlOf(request, headers),
    headers,
    get body() {
      return body();
    },
    at: millis(request.get('timestamp_start')),
    response: response === undefined ? undefined : responseOf(response, parts),
    broken: error === undefined ? undefined : /client/i.test(text(error.get('msg'))) ? 'client' : 'server',
    ...(frames === undefined ? {} : { frames }),
  };
}

function responseOf(response: TDict, parts: Parts): ImportedResponse {
  const headers = headersOf(response.get('headers'));
  const status = response.get('status_code');
  const body = once(() => bodyOf(response, headers, parts));
  return {
    status: typeof status === 'number' && Number.isInteger(status) ? status : 0,
    headers,
    get body() {
      return body();
    },
    at: millis(response.get('timestamp_start')),
    endAt: millis(response.get('timestamp_end')),
  };
}

/** What it holds is as on the wire but for the chunks. */
function bodyOf(message: TDict, headers: HeaderMap, { losses, decode }: Parts): Uint8Array | undefined {
  const content = message.get('content');
  if (!(content instanceof Uint8Array)) return undefined;
  const encoding = headerOf(headers, 'content-encoding');
  if (encoding === undefined || content.length === 0) return content;
  try {
    return decode(content, encoding);
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    losses.add('unread');
    return undefined;
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function urlOf(request: TDict, headers: HeaderMap): string {
  const path = text(request.get('path'));
  // What proxies are sent whole is absolute already.
  if (/^https?:\/\//.test(path)) return path;
  const authority = text(request.get('authority')) || headerOf(headers, 'host');
  const port = request.get('port');
  const host = authority ?? `${text(request.get('host'))}${typeof port === 'number' ? `:${port}` : ''}`;
  return `${text(request.get('scheme')) || 'http'}://${host}${path}`;
}

function headersOf(value: TValue | undefined): HeaderMap {
  return headerMapOf(
    list(value).map((field) => {
      const [name, content] = list(field);
      return [text(name), text(content)] as const;
    }),
  );
}

function framesOf(socket: TDict | undefined, where: string): ImportedLine[] | undefined {
  if (socket === undefined) return undefined;
  return list(socket.get('messages')).map((message, index) => {
    const [, fromClient, content, timestamp] = list(message);
    return {
      where: `${where}, WebSocket message ${index + 1}`,
      at: millis(timestamp),
      from: fromClient === true ? 'client' : 'server',
      text: content instanceof Uint8Array ? utf8.decode(content) : text(content),
    };
  });
}

function millis(seconds: TValue | undefined): number | undefined {
  return typeof seconds === 'number' ? seconds * 1000 : undefined;
}

function dict(value: TValue | undefined): TDict | undefined {
  return value instanceof Map ? value : undefined;
}

function list(value: TValue | undefined): readonly TValue[] {
  return Array.isArray(value) ? value : [];
}

function text(value: TValue | undefined): string {
  if (typeof value === 'string') return value;
  return value instanceof Uint8Array ? latin1.decode(value) : '';
}
