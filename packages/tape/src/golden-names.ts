import type { Message } from '@shadowcat/wire';
import { canonicalOf, withMember } from './canonical.js';
import type { Unit } from './golden-lane.js';
import { shapeOf } from './request-key.js';
import type { NewDigest } from './seal.js';

/** Messages whose parameters are only ids and counters. */
const WITHOUT_CONTENT = new Set(['initialize', 'notifications/cancelled', 'notifications/progress']);
const MAX_TARGET = 80;
const HASH_DIGITS = 4;

/**
 * Names the exchanges of one lane by what the client asks: `tools/call:read_file~3fa2#1`. Method, target, four digits of the
 * hash of the parameters, and which of those with the same name it is. An exchange more or less renames none of the others,
 * but equal ones that follow.
 */
export class ExchangeNames {
  readonly #newDigest: NewDigest;
  readonly #counts = new Map<string, number>();
  readonly #names = new Map<Unit, string>();
  /** Methods of the server's requests, by id: what a client's answer is named after. */
  readonly #asked = new Map<string, string>();

  constructor(newDigest: NewDigest) {
    this.#newDigest = newDigest;
  }

  /** The server asked; its id as on the wire. */
  asks({ kind, idText, method }: Message): void {
    if (kind === 'request' && idText !== undefined && method !== undefined) this.#asked.set(idText, method);
  }

  of(unit: Unit): string {
    const known = this.#names.get(unit);
    if (known !== undefined) return known;
    const base = this.#base(unit);
    const count = (this.#counts.get(base) ?? 0) + 1;
    this.#counts.set(base, count);
    const name = `${base}#${count}`;
    this.#names.set(unit, name);
    return name;
  }

  #base({ asked }: Unit): string {
    const message = asked.find((item) => item.message !== undefined)?.message;
    if (message === undefined) {
      const head = asked.find(({ record }) => record.k === 'http')?.record;
      return head?.k === 'http' ? (head.method ?? 'http') : 'http';
    }
    if (message.kind === 'response') return `response:${this.#asked.get(message.idText ?? '') ?? 'unknown'}`;
    const method = message.method ?? '';
    if (WITHOUT_CONTENT.has(method)) return method;
    const shape = shapeOf(method, message.text);
    // The server's own state is as good as random; the answers beside it tell retries apart.
    const params = withMember(shape.params, 'requestState', undefined);
    const hash = params === undefined ? '' : `~${this.#hash(canonicalOf(shape.text, params))}`;
    const target = method === 'completion/complete' ? undefined : shape.target;
    return `${method}${target === undefined ? '' : `:${target.slice(0, MAX_TARGET)}`}${hash}`;
  }

  #hash(text: string): string {
    return this.#newDigest().with(text).slice(0, HASH_DIGITS);
  }
}
