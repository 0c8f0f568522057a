import { ProxyError } from '@shadowcat/kernel';
import { type JsonLimits, type JsonObject, scanJson } from '@shadowcat/wire';
import { jsonTree, memberOf } from './json-tree.js';
import {
  type BlobPointer,
  EXCHANGE_ENDS,
  type ExchangeEnd,
  type Sender,
  type SseInfo,
  type TapeRecord,
  type TextRecord,
} from './records.js';

/** What a message on a tape may be; the recorder writes what is beyond as `raw`. */
export const MESSAGE_LIMITS = { depth: 128, nodes: 1_000_000 } as const;
const ENVELOPE_LIMITS = { depth: 16, nodes: 10_000 } as const;
/** The longest line that is read, in bytes. What passes the proxy is shorter, as long as its limits are not raised. */
export const MAX_LINE = 67_108_864;

/** One line of a tape. Throws `ProxyError('tape_invalid')` whose message says what is wrong, without the place. */
export function parseRecord(text: string, line: number): TapeRecord {
  const { fields, m } = split(text);
  const kind = fields['k'];
  if (typeof kind !== 'string') throw wrong('the record has no kind "k"');
  const reader = new Fields(fields, kind);
  const t = reader.optionalNumber('t');
  const place = t === undefined ? { line } : { line, t };
  const make = KINDS[kind];
  if (make === undefined || !Object.hasOwn(KINDS, kind)) return { k: 'other', ...place, kind, text };
  const made = make(reader, m);
  const extra = reader.others(made);
  return { ...made, ...place, ...(extra === undefined ? {} : { extra }) } as TapeRecord;
}

/** The members of a record, with `m` apart as text. `m` is cut out, not parsed: it is the last member. */
function split(text: string): { fields: JsonObject; m: string | undefined } {
  const at = text.indexOf(',"m":');
  if (at < 0 && !text.includes('"m"')) {
    check(text, MESSAGE_LIMITS);
    return { fields: objectOf(text), m: undefined };
  }
  const envelope = `${text.slice(0, at)}}`;
  const m = text.slice(at + 5, -1);
  if (text.endsWith('}') && passes(envelope, ENVELOPE_LIMITS) && passes(m, MESSAGE_LIMITS))
    return { fields: objectOf(envelope), m };
  return splitSlowly(text);
}

/** For lines that another program wrote, with space or members where ours have none. Says what is wrong, if it is. */
function splitSlowly(text: string): { fields: JsonObject; m: string | undefined } {
  check(text, MESSAGE_LIMITS);
  const node = memberOf(jsonTree(text), 'm');
  return { fields: objectOf(text), m: node === undefined ? undefined : text.slice(node.start, node.end) };
}

/** Whether a text is JSON within these limits. */
export function passes(text: string, limits: JsonLimits): boolean {
  try {
    scanJson(text, limits);
    return true;
  } catch {
    return false;
  }
}

function check(text: string, limits: JsonLimits): void {
  try {
    scanJson(text, limits);
  } catch (error) {
    throw wrong(ProxyError.from(error).message);
  }
}

function objectOf(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('the line is not a JSON object');
  return value as JsonObject;
}

function wrong(message: string): ProxyError {
  return new ProxyError('tape_invalid', message);
}

/** Typed access to a record's members; what is missing or of another type makes the record invalid. */
class Fields {
  readonly #fields: JsonObject;
  readonly #kind: string;
  readonly #asked = new Set<string>(['k']);

  constructor(fields: JsonObject, kind: string) {
    this.#fields = fields;
    this.#kind = kind;
  }

  text(name: string): string {
    return this.optionalText(name) ?? this.#fail(name, 'a string');
  }
  optionalText(name: string): string | undefined {
    return this.#typed(name, 'string') as string | undefined;
  }
  number(name: string): number {
    return this.optionalNumber(name) ?? this.#fail(name, 'a number');
  }
  optionalNumber(name: string): number | undefined {
    const value = this.#typed(name, 'number') as number | undefined;
    return value === undefined || Number.isFinite(value)
      ? value
      : this.#fail(name, 'a number that can be counted with');
  }
  /** A number of things. */
  count(name: string): number | undefined {
    const value = this.optionalNumber(name);
    if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) return value;
    return this.#fail(name, 'a whole number, 0 or more');
  }
  flag(name: string): boolean {
    return (this.#typed(name, 'boolean') as boolean | undefined) ?? false;
  }
  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const value = this.text(name);
    return values.find((candidate) => candidate === value) ?? this.#fail(name, values.join(', '));
  }
  object(name: string): JsonObject | undefined {
    const value = this.#own(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return this.#fail(name, 'an object');
    return value as JsonObject;
  }
  texts(name: string): readonly string[] {
    const value = this.#own(name);
    if (value === undefined) return [];
    if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
      return this.#fail(name, 'a list of strings');
    return value as string[];
  }
  objects(name: string): readonly JsonObject[] {
    const value = this.#own(name);
    if (value === undefined) return [];
    if (!Array.isArray(value) || value.some((item) => typeof item !== 'object' || item === null || Array.isArray(item)))
      return this.#fail(name, 'a list of objects');
    return value as JsonObject[];
  }
  missing(name: string): never {
    return this.#fail(name, 'there');
  }

  /** Members of a later version: what the reader did not ask for. */
  others(made: Readonly<Record<string, unknown>>): JsonObject | undefined {
    const others = Object.entries(this.#fields).filter(
      ([name]) => name !== 'm' && !Object.hasOwn(made, name) && !this.#asked.has(name),
    );
    return others.length === 0 ? undefined : Object.fromEntries(others);
  }

  #own(name: string): unknown {
    this.#asked.add(name);
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
  }
  #typed(name: string, type: 'string' | 'number' | 'boolean'): unknown {
    const value = this.#own(name);
    if (value !== undefined && typeof value !== type) return this.#fail(name, `a ${type}`);
    return value;
  }
  #fail(name: string, expected: string): never {
    throw wrong(`"${name}" of a ${this.#kind} record has to be ${expected}`);
  }
}

type Maker = (fields: Fields, m: string | undefined) => Readonly<Record<string, unknown>>;

const SENDERS: readonly Sender[] = ['client', 'server'];

/** One entry a kind. Makes the record without its place. */
const KINDS: Readonly<Record<string, Maker>> = {
  head: (f) => ({
    k: 'head',
    v: f.number('v'),
    form: f.oneOf('form', ['capture', 'golden']),
    requires: f.texts('requires'),
    ...given({
      scope: f.optionalText('scope'),
      at: f.optionalText('at'),
      by: f.optionalText('by'),
      process: f.optionalText('process'),
    }),
    ...redactionOf(f.object('redaction')),
  }),
  conn: (f) => ({
    k: 'conn',
    s: f.text('s'),
    event: f.oneOf('event', ['opened', 'closed']),
    by: f.oneOf('by', [...SENDERS, 'proxy']),
  }),
  sess: (f) => ({
    k: 'sess',
    s: f.text('s'),
    era: f.oneOf('era', ['legacy', 'modern']),
    ...given({
      version: f.optionalText('version'),
      client: f.object('client'),
      server: f.object('server'),
      result: f.object('result'),
    }),
    ...(f.flag('resumed') ? { resumed: true } : {}),
  }),
  msg: (f, m) => ({
    k: 'msg',
    s: f.text('s'),
    x: f.text('x'),
    from: f.oneOf('from', SENDERS),
    ...(f.flag('batch') ? { batch: true } : {}),
    ...sseOf(f.object('sse')),
    ...blobsOf(f),
    text: m ?? f.missing('m'),
  }),
  http: (f) => ({
    k: 'http',
    s: f.text('s'),
    x: f.text('x'),
    from: f.oneOf('from', SENDERS),
    ...given({
      method: f.optionalText('method'),
      target: f.optionalText('target'),
      status: f.optionalNumber('status'),
      upstream: f.optionalText('upstream'),
    }),
    headers: headersOf(f.object('headers')),
  }),
  sse: (f) => ({ k: 'sse', s: f.text('s'), x: f.text('x'), sse: sseOf(f.object('sse')).sse ?? {} }),
  'x-': (f) => ({
    k: 'x-',
    s: f.text('s'),
    x: f.text('x'),
    end: f.oneOf<ExchangeEnd>('end', EXCHANGE_ENDS),
    ...given({ code: f.optionalText('code'), message: f.optionalText('message') }),
  }),
  raw: (f) => textRecord('raw', f),
  err: (f) => textRecord('err', f),
  note: (f) => textRecord('note', f),
  gap: (f) => ({ k: 'gap', lost: f.count('lost') ?? f.missing('lost'), why: f.optionalText('why') ?? 'unknown' }),
  ckpt: (f) => ({ k: 'ckpt', lines: f.number('lines'), sha: f.text('sha') }),
  end: (f) => ({
    k: 'end',
    lines: f.number('lines'),
    lost: f.count('lost') ?? 0,
    ...(f.flag('recovered') ? { recovered: true } : {}),
    sha: f.text('sha'),
  }),
};

function textRecord(k: TextRecord['k'], f: Fields): Readonly<Record<string, unknown>> {
  const from = f.optionalText('from');
  return {
    k,
    s: f.text('s'),
    ...given({
      x: f.optionalText('x'),
      from: from === undefined ? undefined : f.oneOf('from', SENDERS),
      why: f.optionalText('why'),
    }),
    text: f.text('text'),
  };
}

const BLOB_KINDS = ['base64', 'text', 'json'] as const;

function blobsOf(f: Fields): { blobs?: readonly BlobPointer[] } {
  const blobs = f.objects('blobs');
  return blobs.length === 0 ? {} : { blobs: blobs.map(blobPointer) };
}

/** Names of files are made of these: nothing but what {@link BlobPointer} says may be in them. */
function blobPointer(value: JsonObject): BlobPointer {
  const f = new Fields(value, 'blob');
  const pointer = { at: f.text('at'), sha: f.text('sha'), type: f.text('type'), as: f.oneOf('as', BLOB_KINDS) };
  if (!/^[0-9a-f]{64}$/.test(pointer.sha) || !/^[a-z0-9]{1,8}$/.test(pointer.type) || !pointer.at.startsWith('/'))
    throw wrong('"blobs" of a msg record has to name a JSON pointer, a SHA-256 and a type');
  return pointer;
}

function redactionOf(value: JsonObject | undefined): { redaction?: { policy: string; key?: string } } {
  const policy = value?.['policy'];
  const key = value?.['key'];
  return typeof policy === 'string' ? { redaction: { policy, ...(typeof key === 'string' ? { key } : {}) } } : {};
}

function sseOf(value: JsonObject | undefined): { sse?: SseInfo } {
  if (value === undefined) return {};
  const { id, event, retry } = value;
  return {
    sse: {
      ...(typeof id === 'string' ? { id } : {}),
      ...(typeof event === 'string' ? { event } : {}),
      ...(typeof retry === 'number' && Number.isSafeInteger(retry) ? { retry } : {}),
    },
  };
}

function headersOf(value: JsonObject | undefined): Readonly<Record<string, string>> {
  const headers: [string, string][] = [];
  for (const [name, field] of Object.entries(value ?? {})) if (typeof field === 'string') headers.push([name, field]);
  return Object.fromEntries(headers);
}

/** The members that have a value: `exactOptionalPropertyTypes` tells absent from undefined. */
function given(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
