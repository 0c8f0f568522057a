import { Causes, onlyLooks } from './causes.js';
import { type GoldenLane, type Item, isAsked, type Unit } from './golden-lane.js';

/**
 * Puts the records of a lane in an order that depends on what caused what, not on which socket was faster: each message of
 * the server's stands behind the client message that it needs, as early as possible. So the order is the same for every
 * recording of the same conversation, and what replay reads from it (what a message waits for) stays what it was.
 */
export function orderedItems(lane: GoldenLane): { readonly unit: Unit; readonly item: Item }[] {
  const speaking = byProgram(lane);
  const { slots: places } = new Places(lane, speaking);
  const ordered: { unit: Unit; item: Item }[] = [];
  const emit = (unit: Unit, items: readonly Item[]): void => {
    for (const item of items) ordered.push({ unit, item });
  };
  const empty: ReadonlyMap<Unit, Item[]> = new Map();
  const after = (slot: number, first: Unit | undefined): void => {
    const here = places.get(slot) ?? empty;
    if (first !== undefined) emit(first, here.get(first) ?? []);
    const others = [...here].filter(([unit]) => unit !== first).sort(([a], [b]) => a.order - b.order);
    for (const [unit, items] of others) emit(unit, items);
  };
  after(-1, undefined);
  for (const [slot, unit] of speaking.entries()) {
    emit(unit, unit.asked);
    after(slot, unit);
  }
  return ordered;
}

/**
 * The exchanges that begin with a message, in the order in which the client's program made them. Requests that were under way
 * at once may have arrived in another order than they were made in; clients count their ids up.
 */
function byProgram(lane: GoldenLane): Unit[] {
  const began = new Map<Unit, number>();
  const ended = new Map<Unit, number>();
  for (const [index, { unit, item }] of lane.captured.entries()) {
    if (!began.has(unit)) began.set(unit, index);
    if (item.message?.kind === 'response' || item.record.k === 'x-') ended.set(unit, ended.get(unit) ?? index);
  }
  const units = lane.units.filter(({ silent }) => !silent);
  const swapped = (a: Unit | undefined, b: Unit | undefined): boolean => {
    if (a === undefined || b === undefined) return false;
    const [idA, idB] = [numberOf(a), numberOf(b)];
    const atOnce = (ended.get(a) ?? Number.POSITIVE_INFINITY) > (began.get(b) ?? 0);
    return idA !== undefined && idB !== undefined && idA > idB && atOnce;
  };
  bubble(units, swapped);
  bubble(units, answersSwapped(lane, units));
  return units;
}

/** More that are under way at once are left as they came. */
const MAX_AT_ONCE = 200;

/** Exchanges neighbours that stand the wrong way round, until there are none. */
function bubble(units: Unit[], swapped: (a: Unit | undefined, b: Unit | undefined) => boolean): void {
  for (let next = 1; next < units.length; next += 1) {
    for (let at = next; at > next - MAX_AT_ONCE && swapped(units[at - 1], units[at]); at -= 1) {
      const [a, b] = [units[at - 1], units[at]];
      if (a !== undefined && b !== undefined) units.splice(at - 1, 2, b, a);
    }
  }
}

/**
 * The answers to questions that the server asked at once arrive as fast as a model or a person gives them: they stand in the order of
 * what was asked, first by the exchange that waits for them; in front of requests that only look.
 */
function answersSwapped(lane: GoldenLane, units: readonly Unit[]): (a?: Unit, b?: Unit) => boolean {
  const places = new Map(units.map((unit, place) => [unit, place]));
  const questions = new Map<string, { readonly during: Unit; readonly at: number }>();
  const answers = new Map<Unit, { readonly during: Unit; readonly at: number }>();
  for (const [at, { unit, item }] of lane.captured.entries()) {
    const { kind, idText } = item.message ?? {};
    if (idText === undefined) continue;
    const asked = questions.get(idText);
    if (kind === 'request' && !isAsked(item.record)) questions.set(idText, { during: unit, at });
    else if (kind === 'response' && isAsked(item.record) && asked !== undefined) answers.set(unit, asked);
  }
  return (a, b) => {
    const [first, second] = [a && answers.get(a), b && answers.get(b)];
    if (second === undefined) return false;
    // What is asked on a standing stream is not asked because of these.
    if (first === undefined) return second.during.standing && a?.asked.some(looks) === true;
    if (first.during === second.during) return first.at > second.at;
    return (places.get(first.during) ?? -1) > (places.get(second.during) ?? Number.POSITIVE_INFINITY);
  };
}

function looks({ message }: Item): boolean {
  return message?.kind === 'request' && onlyLooks(message.method ?? '');
}

/** The id of an exchange of one request, when it is a number. */
function numberOf({ asked }: Unit): number | undefined {
  const messages = asked.flatMap(({ message }) => (message === undefined ? [] : [message]));
  const [only] = messages;
  return messages.length === 1 && only?.kind === 'request' && typeof only.id === 'number' ? only.id : undefined;
}

/** A request of the server's that was not answered yet. `during`: the exchange that waits for the answer. */
interface Question {
  readonly during: Unit | undefined;
  readonly standing: boolean;
}

/** What comes back in each slot: behind the exchange of that number; -1 is before the first. */
class Places {
  readonly slots = new Map<number, Map<Unit, Item[]>>();
  readonly #numbers: ReadonlyMap<Unit, number>;
  readonly #home: number;
  /** Where the last item of a unit went. */
  readonly #last = new Map<Unit, number>();
  /** Where the answers are that a unit, or all streams, had to wait for. */
  readonly #awaited = new Map<Unit | 'streams', number>();
  /** By id; one that is used again is the newest's. */
  readonly #questions = new Map<string, Question[]>();
  readonly #open = new Set<Unit>();
  readonly #causes = new Causes<Unit>();

  constructor(lane: GoldenLane, speaking: readonly Unit[]) {
    this.#numbers = new Map(speaking.map((unit, slot) => [unit, slot]));
    this.#home = this.#slotOf(openerOf(lane));
    for (const { unit, item } of lane.captured) {
      if (!isAsked(item.record)) this.#fromServer(unit, item);
      else if (unit.silent) this.#put(this.#home, unit, item);
      else this.#fromClient(unit, item);
    }
  }

  #slotOf(unit: Unit | undefined): number {
    return unit === undefined ? -1 : (this.#numbers.get(unit) ?? -1);
  }

  #fromClient(unit: Unit, { message }: Item): void {
    if (message === undefined) return;
    if (message.kind === 'response') {
      this.#answered(unit, message.idText);
      return;
    }
    if (message.kind === 'request' && !unit.standing) this.#open.add(unit);
    this.#causes.sent(message.method ?? '', unit);
  }

  /** What waited for this answer stands behind it. */
  #answered(unit: Unit, idText: string | undefined): void {
    const question = this.#questions.get(idText ?? '')?.pop();
    const waiting = [question?.during, question?.standing === true ? ('streams' as const) : undefined];
    for (const key of waiting) {
      if (key !== undefined) this.#awaited.set(key, Math.max(this.#awaited.get(key) ?? -1, this.#slotOf(unit)));
    }
  }

  #fromServer(unit: Unit, item: Item): void {
    const { message, record } = item;
    const slot = this.#slotFor(unit, item);
    this.#last.set(unit, slot);
    this.#put(slot, unit, item);
    if (message?.kind === 'request') {
      const only = this.#open.size === 1 ? [...this.#open][0] : undefined;
      const asked = this.#questions.get(message.idText ?? '') ?? [];
      asked.push({ during: unit.standing ? only : unit, standing: unit.standing });
      this.#questions.set(message.idText ?? '', asked);
    }
    if (message?.kind === 'response' || record.k === 'x-') this.#open.delete(unit);
  }

  #slotFor(unit: Unit, { message, record }: Item): number {
    // When the client let go of a stream shows no more than when it opened it.
    if (unit.silent && record.k === 'x-' && record.end === 'closed-by-client') return this.#numbers.size - 1;
    const before = this.#last.get(unit) ?? (unit.silent ? this.#home : -1);
    const own = Math.max(before, this.#slotOf(unit));
    // A head, or an event that holds no message, waits for nobody.
    if (record.k === 'http' || record.k === 'sse') return own;
    const slot = Math.max(own, this.#awaited.get(unit) ?? -1);
    if (!unit.standing || message === undefined || message.kind === 'response') return slot;
    const cause = this.#causes.of(message.kind, (one) => !this.#open.has(one));
    return Math.max(slot, this.#slotOf(cause), this.#awaited.get('streams') ?? -1);
  }

  #put(slot: number, unit: Unit, item: Item): void {
    let here = this.slots.get(slot);
    if (here === undefined) {
      here = new Map();
      this.slots.set(slot, here);
    }
    const items = here.get(unit);
    if (items === undefined) here.set(unit, [item]);
    else items.push(item);
  }
}

/** Behind what streams stand that the client opens without a message: nothing but the opening of the session shows when. */
function openerOf(lane: GoldenLane): Unit | undefined {
  const opened = (method: string): Unit | undefined =>
    lane.units.find(({ asked }) => asked.some(({ message }) => message?.method === method));
  return opened('notifications/initialized') ?? opened('initialize');
}
