/** A typed place in an exchange's context. Made once per module, at load time, by {@link slot}. */
export interface Slot<T> {
  readonly name: string;
  /** Only carries the type. */
  readonly type?: T;
}

/** Makes a slot; two calls make two slots, also when the names are equal. */
export function slot<T>(name: string): Slot<T> {
  return { name };
}

/** What layers tell each other about one exchange. Shared by all copies of that exchange. */
export class Context {
  readonly #values = new Map<Slot<unknown>, unknown>();

  get<T>(key: Slot<T>): T | undefined {
    return this.#values.get(key) as T | undefined;
  }

  set<T>(key: Slot<T>, value: T): void {
    this.#values.set(key, value);
  }

  /** Another context, which has the values of these slots and shares nothing. */
  pick(slots: readonly Slot<unknown>[]): Context {
    const picked = new Context();
    for (const key of slots) {
      const value = this.get(key);
      if (value !== undefined) picked.set(key, value);
    }
    return picked;
  }
}

/** The same context, except for one slot, which has a value of its own there; all else that is set is set in both. */
export function overlaid<T>(outer: Context, key: Slot<T>, value: T): Context {
  return new OverlaidContext(outer, key, value);
}

class OverlaidContext extends Context {
  readonly #outer: Context;
  readonly #key: Slot<unknown>;

  constructor(outer: Context, key: Slot<unknown>, value: unknown) {
    super();
    this.#outer = outer;
    this.#key = key;
    super.set(key, value);
  }

  override get<T>(key: Slot<T>): T | undefined {
    return key === this.#key ? super.get(key) : this.#outer.get(key);
  }

  override set<T>(key: Slot<T>, value: T): void {
    if (key === this.#key) super.set(key, value);
    else this.#outer.set(key, value);
  }
}
