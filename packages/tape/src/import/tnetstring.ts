import { ProxyError } from '@shadowcat/kernel';

/** A value of a tnetstring (typed netstrings, with mitmproxy's `;` for text): bytes, text, numbers, lists, dictionaries. */
export type TValue = Uint8Array | string | number | boolean | null | readonly TValue[] | TDict;
export type TDict = ReadonlyMap<string, TValue>;

/** Bounds on one value, because the file comes from anywhere. */
const MAX_DEPTH = 64;
const MAX_VALUES = 1_000_000;
/** Digits of a length; a file cannot be longer. */
const MAX_DIGITS = 12;

const COLON = 0x3a;
const ZERO = 0x30;
const ascii = new TextDecoder('latin1');
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What stands at an offset, and where the next value begins. */
export interface TFound {
  readonly value: TValue;
  readonly next: number;
}

/**
 * The value at `at`. `undefined`: the bytes end before it does. Throws `tape_invalid` with the offset for what is no tnetstring, or
 * one with more values, or nested deeper, than a flow has.
 */
export function readTnetstring(bytes: Uint8Array, at: number): TFound | undefined {
  return new Reader(bytes).top(at);
}

class Reader {
  readonly #bytes: Uint8Array;
  #values = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  top(at: number): TFound | undefined {
    const length = this.#length(at, this.#bytes.length);
    if (length === undefined || length.from + length.size >= this.#bytes.length) return undefined;
    return this.#read(at, this.#bytes.length, 0);
  }

  #read(at: number, limit: number, depth: number): TFound {
    this.#values += 1;
    if (this.#values > MAX_VALUES || depth > MAX_DEPTH) throw broken(at, 'more values than a flow has');
    const length = this.#length(at, limit);
    if (length === undefined || length.from + length.size >= limit)
      throw broken(at, 'a value is longer than what holds it');
    const { from, size } = length;
    const end = from + size;
    return { value: this.#value(String.fromCharCode(this.#bytes[end] ?? 0), { from, end, depth }), next: end + 1 };
  }

  /** `undefined`: the bytes end first. */
  #length(at: number, limit: number): { readonly from: number; readonly size: number } | undefined {
    let size = 0;
    for (let digits = 0; ; digits += 1) {
      if (at + digits >= limit) return undefined;
      const byte = this.#bytes[at + digits] ?? 0;
      if (byte === COLON && digits > 0) return { from: at + digits + 1, size };
      if (byte < ZERO || byte > ZERO + 9 || digits === MAX_DIGITS) throw broken(at, 'a length was expected');
      size = size * 10 + byte - ZERO;
    }
  }

  #value(type: string, { from, end, depth }: { from: number; end: number; depth: number }): TValue {
    const bytes = this.#bytes.subarray(from, end);
    switch (type) {
      case ',':
        return bytes;
      case ';':
        return textOf(bytes, from);
      case '#':
      case '^':
        return numberOf(bytes, from);
      case '!':
        return ascii.decode(bytes) === 'true';
      case '~':
        return null;
      case ']':
        return this.#list(from, end, depth);
      case '}':
        return this.#dictionary(from, end, depth);
      default:
        throw broken(end, `no kind of value is called ${JSON.stringify(type)}`);
    }
  }

  #list(from: number, end: number, depth: number): TValue[] {
    const list: TValue[] = [];
    for (let at = from; at < end; ) {
      const { value, next } = this.#read(at, end, depth + 1);
      list.push(value);
      at = next;
    }
    return list;
  }

  #dictionary(from: number, end: number, depth: number): TDict {
    const dictionary = new Map<string, TValue>();
    for (let at = from; at < end; ) {
      const key = this.#read(at, end, depth + 1);
      const { value, next } = this.#read(key.next, end, depth + 1);
      const name = key.value instanceof Uint8Array ? ascii.decode(key.value) : key.value;
      if (typeof name !== 'string') throw broken(at, 'a key is no text');
      if (dictionary.has(name)) throw broken(at, 'a key is there twice');
      dictionary.set(name, value);
      at = next;
    }
    return dictionary;
  }
}

function textOf(bytes: Uint8Array, at: number): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw broken(at, 'a text is no UTF-8');
  }
}

function numberOf(bytes: Uint8Array, at: number): number {
  const value = bytes.length === 0 || bytes.length > 64 ? Number.NaN : Number(ascii.decode(bytes));
  if (!Number.isFinite(value)) throw broken(at, 'a number was expected');
  return value;
}

function broken(at: number, why: string): ProxyError {
  return new ProxyError('tape_invalid', `byte ${at}: ${why}`);
}
