import { ProxyError } from '@shadowcat/kernel';

/** A value inside a JSON text: its kind and where it lies, end exclusive. Numbers and escapes keep their own spelling. */
export type JsonNode = JsonObjectNode | JsonArrayNode | JsonScalarNode;
export interface JsonObjectNode {
  readonly kind: 'object';
  readonly start: number;
  readonly end: number;
  readonly members: readonly JsonMember[];
}
export interface JsonArrayNode {
  readonly kind: 'array';
  readonly start: number;
  readonly end: number;
  readonly items: readonly JsonNode[];
}
/** `word` is `true`, `false` or `null`. */
export interface JsonScalarNode {
  readonly kind: 'string' | 'number' | 'word';
  readonly start: number;
  readonly end: number;
}
export interface JsonMember {
  /** Decoded. */
  readonly key: string;
  /** Where the key lies. */
  readonly name: JsonScalarNode;
  readonly value: JsonNode;
}

/** Deeper texts are refused: their consumers recurse. Above what tapes may hold ({@link MESSAGE_LIMITS} of the reader). */
const MAX_DEPTH = 200;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const SPACE = /[ \t\n\r]*/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE_CODE = 0x20;

/** Reads a JSON text into spans. Throws `ProxyError('parse_error')` when it is no JSON or nested too deep. */
export function jsonTree(text: string): JsonNode {
  const reader = new TreeReader(text);
  return reader.document();
}

/** The string that a `string` node stands for. */
export function stringOf(text: string, node: JsonNode): string {
  const raw = text.slice(node.start, node.end);
  return raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
}

/** The member of an object node with this key, or `undefined`. */
export function memberOf(node: JsonNode | undefined, key: string): JsonNode | undefined {
  if (node?.kind !== 'object') return undefined;
  return node.members.find((member) => member.key === key)?.value;
}

class TreeReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonNode {
    this.#match(SPACE);
    const node = this.#value(1);
    this.#match(SPACE);
    if (this.#at < this.#text.length) throw this.#broken();
    return node;
  }

  #value(depth: number): JsonNode {
    const start = this.#at;
    switch (this.#text[start]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      case 't':
      case 'f':
      case 'n':
        return this.#scalar('word', WORD);
      default:
        return this.#scalar('number', NUMBER);
    }
  }

  #object(depth: number): JsonObjectNode {
    const start = this.#open(depth);
    const members: JsonMember[] = [];
    if (!this.#take('}')) {
      do {
        this.#match(SPACE);
        const name = this.#string();
        this.#match(SPACE);
        if (!this.#take(':')) throw this.#broken();
        members.push({ key: stringOf(this.#text, name), name, value: this.#spaced(depth) });
      } while (this.#take(','));
      if (!this.#take('}')) throw this.#broken();
    }
    return { kind: 'object', start, end: this.#at, members };
  }

  #array(depth: number): JsonArrayNode {
    const start = this.#open(depth);
    const items: JsonNode[] = [];
    if (!this.#take(']')) {
      do items.push(this.#spaced(depth));
      while (this.#take(','));
      if (!this.#take(']')) throw this.#broken();
    }
    return { kind: 'array', start, end: this.#at, items };
  }

  #open(depth: number): number {
    if (depth > MAX_DEPTH) throw new ProxyError('parse_error', `the JSON is nested deeper than ${MAX_DEPTH} levels`);
    const start = this.#at;
    this.#at += 1;
    this.#match(SPACE);
    return start;
  }

  #spaced(depth: number): JsonNode {
    this.#match(SPACE);
    const node = this.#value(depth + 1);
    this.#match(SPACE);
    return node;
  }

  #scalar(kind: JsonScalarNode['kind'], pattern: RegExp): JsonScalarNode {
    const start = this.#at;
    if (!this.#match(pattern)) throw this.#broken();
    return { kind, start, end: this.#at };
  }

  /** By hand: a pattern with alternatives runs out of backtracking stack on megabytes of escapes. */
  #string(): JsonScalarNode {
    const text = this.#text;
    const start = this.#at;
    if (text[start] !== '"') throw this.#broken();
    let at = start + 1;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) break;
      if (code === BACKSLASH) at += 2;
      else if (code >= SPACE_CODE) at += 1;
      else throw this.#broken();
    }
    this.#at = at + 1;
    return { kind: 'string', start, end: this.#at };
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at += 1;
    return true;
  }

  #broken(): ProxyError {
    return new ProxyError('parse_error', `the JSON is broken at character ${this.#at}`);
  }
}
