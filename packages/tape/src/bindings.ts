import { type JsonNode, jsonTree, stringOf } from './json-tree.js';
import { type Change, withChanges } from './replaced.js';

/** Shorter values are only replaced where they are the whole value, and never in answers. */
const MIN_EMBEDDED = 6;

/**
 * Values that are other ones in the live session than on the tape, such as an id that the client mints anew in each run. They
 * stand for each other: in requests, which are looked for as they would have been recorded, and in what is sent.
 */
export class Bindings {
  /** Canonical JSON texts of scalars. */
  readonly #live = new Map<string, string>();
  readonly #recorded = new Map<string, string>();
  /** Whether there is a value that has to be changed on the way. */
  #differ = false;

  /** Whether the two stand for each other, or could. */
  fits(recorded: string, live: string): boolean {
    const knownLive = this.#live.get(recorded);
    const knownRecorded = this.#recorded.get(live);
    return (knownLive ?? live) === live && (knownRecorded ?? recorded) === recorded;
  }

  bind(recorded: string, live: string): void {
    if (!this.fits(recorded, live)) return;
    this.#live.set(recorded, live);
    this.#recorded.set(live, recorded);
    this.#differ ||= recorded !== live;
  }

  get empty(): boolean {
    return !this.#differ;
  }

  /** The recorded spelling of a live scalar. */
  recordedOf(canonical: string): string {
    const known = this.#recorded.get(canonical);
    if (known !== undefined) return known;
    return canonical.startsWith('"')
      ? JSON.stringify(exchanged(JSON.parse(canonical) as string, this.#recorded))
      : canonical;
  }

  /** A recorded message with the live values in it; every other byte as it was. */
  live(text: string): string {
    if (this.empty) return text;
    const edits: Change[] = [];
    eachScalar(jsonTree(text), (node) => {
      const json = this.#liveOf(text, node);
      if (json !== undefined) edits.push({ node, json });
    });
    return withChanges(text, edits);
  }

  #liveOf(text: string, node: JsonNode): string | undefined {
    const raw = text.slice(node.start, node.end);
    if (node.kind !== 'string') return raw.length < MIN_EMBEDDED ? undefined : this.#live.get(raw);
    const content = stringOf(text, node);
    if (content.length < MIN_EMBEDDED) return undefined;
    const put = exchanged(content, this.#live);
    return put === content ? undefined : JSON.stringify(put);
  }
}

/** A text with each long enough known string in it exchanged for its counterpart. */
function exchanged(content: string, known: ReadonlyMap<string, string>): string {
  let out = content;
  for (const [from, to] of known) {
    if (from === to || !from.startsWith('"') || !to.startsWith('"')) continue;
    const [one, other] = [JSON.parse(from) as string, JSON.parse(to) as string];
    if (one.length >= MIN_EMBEDDED && out.includes(one)) out = out.replaceAll(one, other);
  }
  return out;
}

function eachScalar(node: JsonNode, see: (node: JsonNode) => void): void {
  if (node.kind === 'object') for (const { value } of node.members) eachScalar(value, see);
  else if (node.kind === 'array') for (const item of node.items) eachScalar(item, see);
  else see(node);
}
