import { opensBlock } from './redact-blocks.js';

const BEGIN = /-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----/;
const END = /-----END (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----/;
/** `"secret": {` or `[`: what follows is on the next lines. */
const OPENS = /(?<key>[A-Za-z_][\w.-]{0,63})["']?\s{0,4}[:=]\s{0,4}[{[]\s{0,4}$/;
/** `"--token",` in a list that has a line for each word. */
const FLAG = /^\s{0,64}["'](?<key>--?[A-Za-z][\w-]{0,63})["'],?\s*$/;
const CLOSES = /^\s*[\]}]+[,;]?\s*$/;
/** The longest key: RSA of 16384 bits has fewer. After so many lines its end was lost. */
const MAX_LINES = 250;
const MAX_STREAMS = 1000;

/** What a stream is inside of. */
type Open = {
  seen: number;
} & (
  | { readonly kind: 'private-key' | 'word' }
  | { readonly kind: 'json'; depth: number }
  | { readonly kind: 'block'; readonly indent: number }
);

/**
 * Finds secrets that come line by line, as on stderr: private keys, JSON and YAML below a key that names a secret. No line of them says
 * what it is.
 */
export class KeyLines {
  /** What has begun and not ended, by stream. */
  readonly #open = new Map<string, Open>();
  readonly #isSecret: (key: string) => boolean;

  /** @param isSecret whether what stands below a key is a secret. Default: only private keys are found. */
  constructor(isSecret: (key: string) => boolean = () => false) {
    this.#isSecret = isSecret;
  }

  /** Whether a line of a stream is inside of a secret. */
  isInside(stream: string, line: string): boolean {
    const open = this.#open.get(stream);
    if (open !== undefined) {
      const inside = open.seen < MAX_LINES && goesOn(open, line);
      open.seen += 1;
      if (inside && !isLast(open)) return true;
      this.#open.delete(stream);
      if (inside) return !CLOSES.test(line);
      if (open.kind === 'private-key') return false;
    }
    const begun = this.#begins(line);
    if (begun !== undefined) this.#begin(stream, begun);
    return false;
  }

  #begins(line: string): Open | undefined {
    if (line.includes('-----BEGIN ') && BEGIN.test(line) && !END.test(line)) return { kind: 'private-key', seen: 0 };
    const last = line.trimEnd().at(-1);
    if (last === '{' || last === '[') {
      const key = OPENS.exec(line.slice(-256))?.groups?.['key'];
      return key !== undefined && this.#isSecret(key) ? { kind: 'json', seen: 0, depth: 1 } : undefined;
    }
    const flag = line.length < 256 ? FLAG.exec(line)?.groups?.['key'] : undefined;
    if (flag !== undefined) return this.#isSecret(flag) ? { kind: 'word', seen: 0 } : undefined;
    if (!opensBlock(line, this.#isSecret)) return undefined;
    return { kind: 'block', seen: 0, indent: indentOf(line) };
  }

  #begin(stream: string, open: Open): void {
    const [oldest] = this.#open.keys();
    if (this.#open.size >= MAX_STREAMS && oldest !== undefined) this.#open.delete(oldest);
    this.#open.set(stream, open);
  }
}

function goesOn(open: Open, line: string): boolean {
  switch (open.kind) {
    case 'private-key':
      return !END.test(line);
    case 'word':
      return true;
    case 'json':
      open.depth += depthOf(line);
      return true;
    case 'block':
      return (
        line.trim() === '' || indentOf(line) > open.indent || (indentOf(line) === open.indent && /^\s*- /.test(line))
      );
  }
}

/** Whether nothing follows that belongs to it. */
function isLast(open: Open): boolean {
  return open.kind === 'word' || (open.kind === 'json' && open.depth <= 0);
}

const indentOf = (line: string): number => line.length - line.trimStart().length;

/** How many more brackets a line opens than it closes, those in strings aside. */
function depthOf(line: string): number {
  let depth = 0;
  for (const [token] of line.matchAll(/"(?:[^"\\]|\\.){0,65536}"|[[\]{}]/g)) {
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') depth -= 1;
  }
  return depth;
}
