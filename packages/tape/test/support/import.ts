import type { JsonObject } from '@shadowcat/wire';
import { goldenOf, type ImportFormat, importTraffic, readTape, soundTape, type Tape } from '../../src/index.js';
import { bytesOf, newDigest, redactor } from './rig.js';

export interface Imported {
  readonly tape: Tape;
  readonly losses: readonly string[];
  /** The golden lines, without head and end. */
  readonly golden: readonly string[];
}

/** Imports files that are text or bytes. */
export async function imported(
  files: string | Uint8Array | readonly string[],
  format: ImportFormat,
  options: { readonly url?: string; readonly decode?: (bytes: Uint8Array, encoding: string) => Uint8Array } = {},
): Promise<Imported> {
  const list = typeof files === 'string' || files instanceof Uint8Array ? [files] : files;
  const bytes = list.map((file) => (typeof file === 'string' ? bytesOf(file) : file));
  const traffic = importTraffic(bytes, { format, url: options.url, decode: options.decode ?? ((body) => body) });
  const { text, losses } = await traffic.capture({ redactor, keyId: 'key-1', newDigest, by: 'test' });
  const tape = soundTape(readTape(bytesOf(text), { name: 'imported.tape.jsonl', newDigest }));
  return {
    tape,
    losses,
    get golden() {
      return goldenOf(tape, { newDigest }).lines.slice(1, -1);
    },
  };
}

/** The messages of a tape: who, which exchange, what. */
export function messagesOf({ tape }: Imported): string[] {
  return tape.records.flatMap((record) =>
    record.k === 'msg' ? [`${record.from} ${record.s} ${record.x} ${record.text}`] : [],
  );
}

/** Who says what, without what it is. */
export function orderOf(read: Imported): string[] {
  return messagesOf(read).map((line) => line.slice(0, 11));
}

/** How its exchanges ended. */
export function endsOf({ tape }: Imported): string[] {
  return tape.records.flatMap((record) => (record.k === 'x-' ? [`${record.x} ${record.end}`] : []));
}

export interface EntryParts {
  /** Milliseconds after the first. */
  readonly at?: number;
  readonly time?: number;
  readonly wait?: number;
  readonly method?: string;
  readonly url?: string;
  readonly body?: JsonObject | string;
  readonly session?: string;
  readonly request?: JsonObject;
  readonly status?: number;
  readonly type?: string;
  /** The body of the answer. */
  readonly text?: string;
  readonly response?: JsonObject;
  readonly more?: JsonObject;
}

/** An entry of a HAR. */
export function entry(parts: EntryParts): JsonObject {
  const {
    at = 0,
    time = 5,
    wait = 2,
    method = 'POST',
    url = 'http://a.example/mcp',
    body,
    session,
    status = 200,
  } = parts;
  const type = parts.type ?? (parts.text === undefined ? undefined : 'application/json');
  return {
    startedDateTime: new Date(Date.UTC(2026, 0, 1) + at).toISOString(),
    time,
    request: {
      method,
      url,
      headers: [
        { name: 'Accept', value: 'application/json, text/event-stream' },
        ...(session === undefined ? [] : [{ name: 'Mcp-Session-Id', value: session }]),
      ],
      ...(body === undefined ? {} : { postData: { text: typeof body === 'string' ? body : JSON.stringify(body) } }),
      ...parts.request,
    },
    response: {
      status,
      headers: type === undefined ? [] : [{ name: 'Content-Type', value: type }],
      content: parts.text === undefined ? {} : { mimeType: type ?? '', text: parts.text },
      ...parts.response,
    },
    timings: { blocked: -1, send: 0, wait, receive: time - wait },
    ...parts.more,
  };
}

export function har(...entries: readonly JsonObject[]): string {
  return harBy('test', ...entries);
}

/** A HAR of a tool that is known. */
export function harBy(name: string, ...entries: readonly JsonObject[]): string {
  return JSON.stringify({ log: { version: '1.2', creator: { name, version: '1' }, entries } });
}

export const events = (...messages: readonly (JsonObject | string)[]): string =>
  messages
    .map((message) => `event: message\ndata: ${typeof message === 'string' ? message : JSON.stringify(message)}\n\n`)
    .join('');

type TSource = Uint8Array | string | number | boolean | null | readonly TSource[] | { readonly [key: string]: TSource };

/** A value as mitmproxy writes it. Text is text; bytes are made with `bytesOf`. */
export function tnetstring(value: TSource): Uint8Array {
  if (value instanceof Uint8Array) return framed(value, ',');
  if (typeof value === 'string') return framed(bytesOf(value), ';');
  if (typeof value === 'number') return framed(bytesOf(String(value)), Number.isInteger(value) ? '#' : '^');
  if (typeof value === 'boolean') return framed(bytesOf(String(value)), '!');
  if (value === null) return framed(bytesOf(''), '~');
  if (Array.isArray(value)) return framed(joined(value.map(tnetstring)), ']');
  return framed(joined(Object.entries(value).flatMap(([key, member]) => [tnetstring(key), tnetstring(member)])), '}');
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

function framed(bytes: Uint8Array, type: string): Uint8Array {
  return joined([bytesOf(`${bytes.length}:`), bytes, bytesOf(type)]);
}

export interface FlowParts {
  readonly at?: number;
  readonly method?: string;
  readonly path?: string;
  readonly body?: string;
  readonly session?: string;
  readonly status?: number;
  readonly type?: string;
  readonly answer?: string | Uint8Array | null;
  readonly encoding?: string;
  readonly error?: string;
  readonly version?: number;
  readonly more?: { readonly [key: string]: TSource };
}

/** A flow; without `status` it was not answered. */
export function flow(parts: FlowParts): Uint8Array {
  const { at = 0, method = 'POST', path = '/mcp', body = '', status, answer = '', error, version = 17 } = parts;
  const fields = (...pairs: readonly (readonly [string, string | undefined])[]): TSource =>
    pairs.flatMap(([name, value]) => (value === undefined ? [] : [[bytesOf(name), bytesOf(value)]]));
  return tnetstring({
    version,
    type: 'http',
    request: {
      host: 'a.example',
      port: 80,
      method: bytesOf(method),
      scheme: bytesOf('http'),
      authority: bytesOf(''),
      path: bytesOf(path),
      http_version: bytesOf('HTTP/1.1'),
      headers: fields(['Host', 'a.example'], ['Accept', 'text/event-stream'], ['Mcp-Session-Id', parts.session]),
      content: bytesOf(body),
      timestamp_start: 1_700_000_000 + at / 1000,
      timestamp_end: 1_700_000_000 + at / 1000,
    },
    response:
      status === undefined
        ? null
        : {
            status_code: status,
            reason: bytesOf('OK'),
            headers: fields(
              ['Content-Type', parts.type ?? 'application/json'],
              ['Content-Encoding', parts.encoding],
              ['Mcp-Session-Id', parts.session],
            ),
            content: answer === null ? null : typeof answer === 'string' ? bytesOf(answer) : answer,
            timestamp_start: 1_700_000_000.002 + at / 1000,
            timestamp_end: 1_700_000_000.005 + at / 1000,
          },
    error: error === undefined ? null : { msg: error, timestamp: 1_700_000_000.5 },
    websocket: null,
    ...parts.more,
  });
}
