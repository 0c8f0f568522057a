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
}
