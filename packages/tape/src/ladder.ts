import type { Bindings } from './bindings.js';
import { canonicalOf } from './canonical.js';
import { eachAt, type Mask, maskedText } from './masked.js';
import { isEpoch, normalised } from './normalise.js';
import { isFor, type NormaliseRule, type Overlay, type PlacesRule, RUNGS, type Rung } from './overlay.js';
import { leadsTo, readPointer } from './pointer.js';
import type { RecordedLane, Recording } from './recording.js';
import { type RequestShape, shapeOf } from './request-key.js';

/** A value of a place that is bound, on the tape and live: canonical JSON texts. */
type Pair = readonly [recorded: string, live: string];

/** Methods whose target nothing can make another: never the answer of another tool. */
const FIXED_TARGET: ReadonlySet<string> = new Set(['tools/call', 'prompts/get']);

/**
 * By which rungs, beyond the exact one, a request can be matched, and the recordings by what is compared on each. A rung that
 * no rule of the overlay adds to is left out, so that without an overlay there is nothing to climb.
 */
export class Ladder {
  readonly #overlay: Overlay;
  readonly #highest: number;
  readonly #rungs: readonly Rung[];
  readonly #indexes = new WeakMap<RecordedLane, Map<Rung, ReadonlyMap<string, readonly Recording[]>>>();

  constructor(overlay: Overlay, maxRung: Rung) {
    this.#overlay = overlay;
    this.#highest = RUNGS.indexOf(maxRung);
    const { bind, replace, normalise, ignore } = overlay;
    const used: Readonly<Record<Rung, boolean>> = {
      exact: false,
      bound: bind.length + replace.length > 0,
      normalised: normalise.length > 0,
      rule: ignore.length > 0,
    };
    this.#rungs = RUNGS.filter((rung) => used[rung] && this.allows(rung));
  }

  allows(rung: Rung): boolean {
    return RUNGS.indexOf(rung) <= this.#highest;
  }

  /** Makes the indexes of a lane, which takes a moment on a long tape, before anybody waits for an answer. */
  prepare(lane: RecordedLane): void {
    for (const rung of this.#rungs) this.#index(lane, rung);
  }

  /** The recordings that a request fits, rung by rung, strictest first; `key` names what is equal among them. */
  *climb(
    lane: RecordedLane,
    shape: RequestShape,
    bindings: Bindings,
  ): Generator<{ rung: Rung; key: string; recordings: readonly Recording[] }, void, undefined> {
    for (const rung of this.#rungs) {
      const key = this.#key(rung, shape, bindings);
      const recordings = this.#index(lane, rung).get(key);
      if (recordings !== undefined) yield { rung, key: `${rung}\n${key}`, recordings };
    }
  }

  /** Whether the values of bound places do not contradict what is bound already. */
  fits(recording: Recording, shape: RequestShape, bindings: Bindings): boolean {
    return this.#pairs(recording, shape).every(([recorded, live]) => bindings.fits(recorded, live));
  }

  /** From now on the values of bound places stand for each other. */
  capture(recording: Recording, shape: RequestShape, bindings: Bindings): void {
    for (const [recorded, live] of this.#pairs(recording, shape)) bindings.bind(recorded, live);
  }

  /** Whether a rule says already that this place may differ. */
  excuses(shape: RequestShape, pointer: string): boolean {
    const path = readPointer(pointer);
    if (path === undefined) return false;
    const rules = [...(this.allows('rule') ? this.#overlay.ignore : []), ...this.#bindRules(shape)];
    const around = path.map((_, index) => path.slice(0, index + 1));
    return rules.some((rule) => isFor(rule, shape) && rule.at.some((place) => around.some((at) => leadsTo(place, at))));
  }

  #bindRules(shape: RequestShape): readonly PlacesRule[] {
    return this.allows('bound') ? this.#overlay.bind.filter((rule) => isFor(rule, shape)) : [];
  }

  #pairs(recording: Recording, shape: RequestShape): readonly Pair[] {
    const rules = this.#bindRules(shape);
    if (rules.length === 0) return [];
    const recorded = shapeOf(recording.method, recording.message.text);
    return rules.flatMap(({ at }) =>
      at.flatMap((pointer): Pair[] => {
        const [one, other] = [valuesAt(recorded, pointer), valuesAt(shape, pointer)];
        return one.flatMap((value, index) => (other[index] === undefined ? [] : [[value, other[index]]]));
      }),
    );
  }

  #index(lane: RecordedLane, rung: Rung): ReadonlyMap<string, readonly Recording[]> {
    let ofLane = this.#indexes.get(lane);
    if (ofLane === undefined) {
      ofLane = new Map();
      this.#indexes.set(lane, ofLane);
    }
    let index = ofLane.get(rung);
    if (index === undefined) {
      index = Map.groupBy(lane.recordings, ({ method, message }) => this.#key(rung, shapeOf(method, message.text)));
      ofLane.set(rung, index);
    }
    return index;
  }

  #key(rung: Rung, shape: RequestShape, bindings?: Bindings): string {
    const { method, params, text } = shape;
    const target = FIXED_TARGET.has(method) ? JSON.stringify(shape.target ?? null) : '';
    // Who opens a session is not compared.
    if (params === undefined || method === 'initialize') return `${method}\n${target}\n`;
    const masked = maskedText(text, params, this.#mask(rung, shape, bindings));
    // Nothing that counts is left: as if there were none.
    return `${method}\n${target}\n${masked === '{}' ? '' : masked}`;
  }

  #mask(rung: Rung, shape: RequestShape, bindings: Bindings | undefined): Mask {
    const { text } = shape;
    const reached = (wanted: Rung): boolean => RUNGS.indexOf(wanted) <= RUNGS.indexOf(rung);
    const ours = (rule: PlacesRule | NormaliseRule): boolean => isFor(rule, shape);
    const ignore = reached('rule') ? this.#overlay.ignore.filter(ours) : [];
    const kinds = reached('normalised') ? this.#overlay.normalise.filter(ours) : [];
    const bind = this.#bindRules(shape);
    return (node, path) => {
      if (path.length > 0 && ignore.some(({ at }) => at.some((place) => leadsTo(place, path)))) return null;
      if (bind.some(({ at }) => at.some((place) => leadsTo(place, path)))) return '~bound~';
      if (node.kind !== 'string' && node.kind !== 'number') return undefined;
      const canonical = canonicalOf(text, node);
      const recorded = bindings === undefined || bindings.empty ? canonical : bindings.recordedOf(canonical);
      return kindText(recorded, kinds, path);
    };
  }
}

/** A scalar with what the normalisers know in it replaced. */
function kindText(canonical: string, rules: readonly NormaliseRule[], path: readonly string[]): string {
  let out = canonical;
  for (const { as, at } of rules) {
    const named = at?.some((place) => leadsTo(place, path));
    if (named === false) continue;
    if (out.startsWith('"')) out = JSON.stringify(normalised(JSON.parse(out) as string, as));
    else if (named === true && as === 'timestamp' && isEpoch(out)) out = '"~timestamp~"';
  }
  return out;
}

function valuesAt(shape: RequestShape, pointer: readonly string[]): string[] {
  const found: string[] = [];
  eachAt(shape.params, pointer, (node) => {
    found.push(canonicalOf(shape.text, node));
  });
  return found;
}
