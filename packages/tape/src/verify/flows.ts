import { jsonTree, memberOf } from '../json-tree.js';
import { isFor, type PlacesRule } from '../overlay.js';
import { leadsTo, type Pointer } from '../pointer.js';
import type { Recording } from '../recording.js';
import { type Scalar, type Spot, scalarsOf } from './scalars.js';

/** A value that the server minted in an answer and the client used in later requests: a handle, a cursor, an id. */
export interface Flow {
  readonly kind: Scalar['kind'];
  /** As {@link Scalar.value} has it. */
  readonly value: string;
  readonly from: Source;
  readonly uses: readonly Use[];
}

/** Where a value came from. */
export interface Source {
  readonly recording: Recording;
  /** From the root of the answer: `/result/…`; may lead into JSON in a text. */
  readonly path: Pointer;
  /** When the value is a word in a longer text: what stands right before and after it. */
  readonly within: { readonly before: string; readonly after: string } | undefined;
}

/** Where a value was used: a pointer from the root of the request (`/params/…`). The value may be a part of a longer string. */
export interface Use {
  readonly recording: Recording;
  readonly path: Pointer;
}

/** Requests that say nothing a server could have given: who the client is, what it wants to hear. */
const SAYS_NOTHING: ReadonlySet<string> = new Set(['initialize', 'server/discover', 'ping', 'logging/setLevel']);
/** Keys of handles. A short value is only believed to be minted when both ends have such a key. */
const HANDLE_KEY = /(?:id|handle|cursor|token|key|ur[il]|session|ref|state|ticket|lease|job)$/i;
/** Keys of what servers name things; those are chosen, not minted. */
const NAME_KEY = /^(?:name|title|description|mimeType|type|text|version|role)$/;
const MIN_MINTED = 6;
const CONTEXT = 24;
const WORD = /\w[\w.:/-]*\w/g;
const PLAIN_WORD = /\w[\w-]*\w/g;
/** Longer texts are not searched for words. */
const MAX_READ = 65_536;
/** Values that are searched for in each request. */
const MAX_SEARCHED = 5000;

/**
 * The data flow of one lane: which values of requests came from answers before. What the client said first is its own. `bind`:
 * places of answers (`/result/…`) whose values are minted whatever they look like.
 */
export function flowsOf(recordings: readonly Recording[], bind: readonly PlacesRule[] = []): readonly Flow[] {
  const finder = new FlowFinder(bind);
  const events = recordings.flatMap((recording) => [
    { order: recording.order, see: () => finder.asked(recording) },
    ...(recording.answer === undefined
      ? []
      : [{ order: recording.answer.order, see: () => finder.answered(recording) }]),
  ]);
  for (const { see } of events.sort((a, b) => a.order - b.order)) see();
  return finder.flows;
}

interface Candidate extends Source {
  readonly scalar: Scalar;
  readonly forced: boolean;
}

class FlowFinder {
  readonly #bind: readonly PlacesRule[];
  readonly #flows = new Map<string, Flow & { uses: Use[] }>();
  readonly #sources = new Map<string, Candidate[]>();
  readonly #minted = new Map<string, Candidate>();
  /** Values that the client sent before any answer had them. */
  readonly #own = new Set<string>();

  constructor(bind: readonly PlacesRule[]) {
    this.#bind = bind;
  }

  get flows(): readonly Flow[] {
    return [...this.#flows.values()];
  }

  answered(recording: Recording): void {
    const { answer, method } = recording;
    if (answer === undefined || method === 'initialize' || method === 'server/discover') return;
    const rules = this.#bind.filter((rule) => isFor(rule, recording));
    for (const scalar of scalarsOf(rootOf(answer.text), true)) {
      const { path, kind, value } = scalar;
      if (path[0] !== 'result' && path[0] !== 'error') continue;
      const forced = rules.some(({ at }) => at.some((place) => leadsTo(place, path)));
      const candidate: Candidate = { recording, path, scalar, within: undefined, forced };
      const key = keyOf(kind, value);
      if (this.#own.has(key) && !forced) continue;
      const same = this.#sources.get(key);
      if (same === undefined) this.#sources.set(key, [candidate]);
      else same.push(candidate);
      if (kind !== 'string') continue;
      if (looksMinted(value)) this.#mint(candidate);
      this.#read(candidate);
    }
  }

  #mint(candidate: Candidate): void {
    const { value } = candidate.scalar;
    if (isListed(candidate) || this.#minted.has(value) || this.#minted.size >= MAX_SEARCHED) return;
    this.#minted.set(value, candidate);
  }

  /** A text: its minted words may turn up in requests, alone or as parts of longer values. */
  #read(candidate: Candidate): void {
    const { scalar } = candidate;
    if (this.#minted.size >= MAX_SEARCHED || scalar.value.length > MAX_READ) return;
    for (const { 0: word, index } of [...scalar.value.matchAll(WORD), ...scalar.value.matchAll(PLAIN_WORD)]) {
      if (word === scalar.value || !looksMinted(word) || this.#own.has(keyOf('string', word))) continue;
      const before = scalar.value.slice(Math.max(0, index - CONTEXT), index);
      const after = scalar.value.slice(index + word.length, index + word.length + 1);
      // A part of an address.
      if (after === '@' || before.endsWith('@')) continue;
      this.#mint({ ...candidate, scalar: { ...scalar, value: word }, within: { before, after } });
    }
  }

  asked(recording: Recording): void {
    const { method, message } = recording;
    const params = memberOf(jsonTree(message.text), 'params');
    if (SAYS_NOTHING.has(method) || params === undefined) return;
    for (const scalar of scalarsOf({ text: message.text, node: params }, false, ['params'])) {
      if (isFixed(method, scalar.path)) continue;
      const key = keyOf(scalar.kind, scalar.value);
      const source = this.#own.has(key) ? undefined : this.#find(scalar);
      if (source === undefined) this.#own.add(key);
      else this.#use(source, { recording, path: scalar.path });
    }
  }

  #use(source: Candidate, use: Use): void {
    const { kind, value } = source.scalar;
    const key = keyOf(kind, value);
    const flow = this.#flows.get(key);
    if (flow === undefined) {
      const { recording, path, within } = source;
      this.#flows.set(key, { kind, value, from: { recording, path, within }, uses: [use] });
    } else flow.uses.push(use);
  }

  #find(scalar: Scalar): Candidate | undefined {
    const known = this.#flows.get(keyOf(scalar.kind, scalar.value));
    if (known !== undefined) return { ...known.from, scalar, forced: false };
    const whole = (this.#sources.get(keyOf(scalar.kind, scalar.value)) ?? []).filter(
      (candidate) => candidate.forced || isPlausible(candidate, scalar),
    );
    const best = whole.findLast((candidate) => candidate.forced || sameHandle(candidate.path, scalar.path));
    if (best !== undefined || whole.length > 0) return best ?? whole.at(-1);
    return scalar.kind === 'string' ? this.#inside(scalar.value) : undefined;
  }

  /** A minted value that is this one, or a part of it, such as an id in a URI. */
  #inside(value: string): Candidate | undefined {
    if (value.length < MIN_MINTED) return undefined;
    const same = this.#minted.get(value);
    if (same !== undefined) return same;
    for (const [minted, candidate] of this.#minted) if (wordAt(value, minted) >= 0) return candidate;
    return undefined;
  }
}

/** The message as a whole. */
export function rootOf(text: string): Spot {
  return { text, node: jsonTree(text) };
}

const keyOf = (kind: Scalar['kind'], value: string): string => `${kind} ${value}`;

/** What names the thing that is asked for is never another one, and `_meta` is the protocol's. */
function isFixed(method: string, path: Pointer): boolean {
  const [, first] = path;
  if (first === '_meta' || first === 'inputResponses') return true;
  return first === 'name' && (method === 'tools/call' || method === 'prompts/get');
}

/** In a list that the server chose to show: `/result/tools/3/…`. */
function isListed({ recording, path }: Source): boolean {
  return recording.method.endsWith('/list') && path.at(-1) !== 'nextCursor';
}

function isPlausible(candidate: Candidate, { kind, value, path }: Scalar): boolean {
  const key = nameOf(candidate.path);
  if (isListed(candidate)) return !NAME_KEY.test(key) && looksMinted(value);
  if (sameHandle(candidate.path, path)) return true;
  if (kind === 'number') return /^\d{7,}$/.test(value);
  return looksMinted(value);
}

/** Whether both ends are called alike, and as handles are: `noteId` and `id`, `nextCursor` and `cursor`. */
function sameHandle(from: Pointer, to: Pointer): boolean {
  const [one, other] = [plain(nameOf(from)), plain(nameOf(to))];
  if (!HANDLE_KEY.test(one) || !HANDLE_KEY.test(other)) return false;
  return one.endsWith(other) || other.endsWith(one);
}

/** The last key of a path, indices aside. */
function nameOf(path: Pointer): string {
  return path.findLast((step) => !/^\d+$/.test(step)) ?? '';
}

const plain = (key: string): string => key.replaceAll(/[^a-z0-9]/gi, '').toLowerCase();

/** Dates and times, versions, addresses of people: with digits, and chosen all the same. */
const CHOSEN = [/^\d{4}-\d{2}-\d{2}(?:[T ].*)?$/, /^v?\d+(?:\.\d+)+(?:[-+.]\w+)*$/, /^[^@\s]+@[\w.-]+$/];
/** Fewer digits are those of names: `us-east-1`, `gpt-4o`, `base64`. */
const MIN_DIGITS = 3;

/** Whether nobody would have chosen such a word: a long one with digits that is no date, number or version. */
function looksMinted(value: string): boolean {
  if (value.length < MIN_MINTED || /\s/.test(value) || /^[\d.,:+-]+$/.test(value)) return false;
  if ((value.match(/\d/g)?.length ?? 0) < MIN_DIGITS) return false;
  return !CHOSEN.some((kind) => kind.test(value));
}

function wordAt(text: string, word: string): number {
  const isWord = (char: string | undefined): boolean => char !== undefined && /\w/.test(char);
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (!isWord(text[at - 1]) && !isWord(text[at + word.length])) return at;
  }
  return -1;
}
