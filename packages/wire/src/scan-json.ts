import { ProxyError } from '@shadowcat/kernel';

/** Bounds on one JSON text, checked before it is parsed. */
export interface JsonLimits {
  /** How many arrays and objects may lie inside each other. Default 64. */
  readonly depth?: number;
  /** How many values the text may hold, containers included. Default 100,000. */
  readonly nodes?: number;
}

/** Where a value lies in a JSON text: `text.slice(start, end)` is its own text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Where the parts of a JSON-RPC body lie: the value itself, the elements of an array, and the `id` of each object among them. */
export interface Outline extends Span {
  /** Of the value itself, when it is an object; in order. */
  readonly keys: readonly string[];
  /** Of the value itself, when it is an object that has one. */
  readonly id: Span | undefined;
  /** Of the value, when it is an array. */
  readonly elements: readonly (Span & { readonly id: Span | undefined })[];
}

/**
 * Checks a JSON text in one pass: the grammar of RFC 8259 (what it accepts, `JSON.parse` accepts), depth, number of values,
 * and that no object has a key twice, because the proxy and the server behind it could read different ones.
 * Throws `ProxyError`: `parse_error` for what is no JSON, `invalid_request` for JSON beyond a limit.
 */
export function scanJson(text: string, limits: JsonLimits = {}): void {
  new Scanner(text, limits).document();
}

/** {@link scanJson} that also tells where the messages in the text and their ids are. */
export function outlineJson(text: string, limits: JsonLimits): Outline {
  const scanner = new Scanner(text, limits);
  const span = scanner.document();
  return { start: span.start, end: span.end, keys: scanner.keys, id: scanner.id, elements: scanner.elements };
}

/** Up to this many keys are compared one by one; beyond it a set is cheaper. */
const FEW_KEYS = 12;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Recursive descent; the recursion is bounded by the depth limit. Every method starts at its token and ends after it. */
class Scanner {
  readonly #text: string;
  readonly #maxDepth: number;
  readonly #maxNodes: number;
  #at = 0;
  #nodes = 0;
  /** Whether the string scanned last has an escape in it. */
  #escaped = false;
  id: Span | undefined;
  readonly keys: string[] = [];
  readonly elements: (Span & { readonly id: Span | undefined })[] = [];
  #elementId: Span | undefined;

  constructor(text: string, limits: JsonLimits) {
    this.#text = text;
    this.#maxDepth = limits.depth ?? 64;
    this.#maxNodes = limits.nodes ?? 100_000;
  }

  document(): Span {
    this.#space();
    const start = this.#at;
    this.#value(1);
    const end = this.#at;
    this.#space();
    if (this.#at < this.#text.length) throw this.#broken();
    return { start, end };
  }

  #value(depth: number): void {
    this.#nodes += 1;
    if (this.#nodes > this.#maxNodes) {
      throw new ProxyError('invalid_request', `the JSON holds more than ${this.#maxNodes} values`);
    }
    const code = this.#text.charCodeAt(this.#at);
    if (code === QUOTE) this.#string();
    else if (code === OPEN_OBJECT) this.#object(depth);
    else if (code === OPEN_ARRAY) this.#array(depth);
    else if (code === MINUS || isDigit(code)) this.#number();
    else if (code === 0x74) this.#word('true');
    else if (code === 0x66) this.#word('false');
    else if (code === 0x6e) this.#word('null');
    else throw this.#broken();
  }

  #object(depth: number): void {
    if (depth > this.#maxDepth) throw this.#tooDeep();
    const keys = new Keys();
    this.#at += 1;
    this.#space();
    if (this.#take(CLOSE_OBJECT)) return;
    for (;;) {
      const key = this.#key();
      if (!keys.add(key)) {
        throw new ProxyError(
          'invalid_request',
          `the JSON has the key ${JSON.stringify(shortened(key))} twice in one object`,
        );
      }
      this.#space();
      if (!this.#take(COLON)) throw this.#broken();
      this.#member(depth, key);
      if (this.#take(COMMA)) this.#space();
      else if (this.#take(CLOSE_OBJECT)) return;
      else throw this.#broken();
    }
  }

  #array(depth: number): void {
    if (depth > this.#maxDepth) throw this.#tooDeep();
    this.#at += 1;
    this.#space();
    if (this.#take(CLOSE_ARRAY)) return;
    for (;;) {
      this.#member(depth, undefined);
      if (this.#take(CLOSE_ARRAY)) return;
      if (!this.#take(COMMA)) throw this.#broken();
    }
  }

  /** One value of a container, with the space around it. */
  #member(depth: number, key: string | undefined): void {
    this.#space();
    const start = this.#at;
    this.#value(depth + 1);
    if (depth <= 2) this.#note(depth, key, start);
    this.#space();
  }

  /** Keeps what {@link Outline} tells, of the member that ended here. */
  #note(depth: number, key: string | undefined, start: number): void {
    if (depth === 1 && key !== undefined) this.keys.push(key);
    if (key === 'id') {
      const span = { start, end: this.#at };
      if (depth === 1) this.id = span;
      else this.#elementId = span;
    } else if (key === undefined && depth === 1) {
      this.elements.push({ start, end: this.#at, id: this.#elementId });
      this.#elementId = undefined;
    }
  }

  #key(): string {
    const start = this.#at;
    if (this.#text.charCodeAt(start) !== QUOTE) throw this.#broken();
    this.#string();
    if (this.#escaped) return JSON.parse(this.#text.slice(start, this.#at)) as string;
    return this.#text.slice(start + 1, this.#at - 1);
  }

  #string(): void {
    const text = this.#text;
    let at = this.#at + 1;
    let escaped = false;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        const length = escapeLength(text, at);
        if (length === 0) throw this.#broken(at);
        escaped = true;
        at += length;
      } else if (code >= SPACE) {
        at += 1;
      } else {
        // A control character, or NaN: the text is over.
        throw this.#broken(at);
      }
    }
    this.#escaped = escaped;
    this.#at = at + 1;
  }

  #number(): void {
    this.#take(MINUS);
    if (!this.#take(ZERO)) this.#digits();
    if (this.#take(DOT)) this.#digits();
    const code = this.#text.charCodeAt(this.#at);
    if (code !== 0x65 && code !== 0x45) return;
    this.#at += 1;
    if (!this.#take(PLUS)) this.#take(MINUS);
    this.#digits();
  }

  #digits(): void {
    const start = this.#at;
    while (isDigit(this.#text.charCodeAt(this.#at))) this.#at += 1;
    if (this.#at === start) throw this.#broken();
  }

  #word(word: string): void {
    if (!this.#text.startsWith(word, this.#at)) throw this.#broken();
    this.#at += word.length;
  }

  #take(code: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== code) return false;
    this.#at += 1;
    return true;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== SPACE && code !== LF && code !== CR && code !== TAB) return;
      this.#at += 1;
    }
  }

  #broken(at = this.#at): ProxyError {
    const where = at >= this.#text.length ? 'ends too early' : `is broken at character ${at}`;
    return new ProxyError('parse_error', `the JSON ${where}`);
  }

  #tooDeep(): ProxyError {
    return new ProxyError('invalid_request', `the JSON is nested deeper than ${this.#maxDepth} levels`);
  }
}

/** The keys of one object, for telling whether one comes twice. */
class Keys {
  readonly #few: string[] = [];
  #many: Set<string> | undefined;

  /** False when the key is there already. */
  add(key: string): boolean {
    if (this.#many !== undefined) {
      const before = this.#many.size;
      return this.#many.add(key).size > before;
    }
    if (this.#few.includes(key)) return false;
    this.#few.push(key);
    if (this.#few.length > FEW_KEYS) this.#many = new Set(this.#few);
    return true;
  }
}

/** How long the escape that begins at `at` is; 0 when it is none of RFC 8259's. */
function escapeLength(text: string, at: number): number {
  switch (text.charCodeAt(at + 1)) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // slash
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return 2;
    case 0x75: // u
      return isHex(text, at + 2) && isHex(text, at + 3) && isHex(text, at + 4) && isHex(text, at + 5) ? 6 : 0;
    default:
      return 0;
  }
}

function isHex(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  const lower = code | 0x20;
  return isDigit(code) || (lower >= 0x61 && lower <= 0x66);
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}

function shortened(key: string): string {
  return key.length > 40 ? `${key.slice(0, 40)}…` : key;
}
