import { type ErrorCode, ProxyError } from '@shadowcat/kernel';

/** What comes back from a worker: a value, or the parts of a `ProxyError`, which would lose its class on the way. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      readonly code: ErrorCode;
      readonly message: string;
      readonly data: Readonly<Record<string, unknown>> | undefined;
    };

/** A function that a worker module exports for {@link Offload.run}. Input and value have to be structured-cloneable. */
export type Task<I, T> = (input: I) => Promise<Outcome<T>>;

/** Makes a worker module's export of `work`. What it throws is thrown by `run`, as a `ProxyError`. */
export function task<I, T>(work: (input: I) => T | Promise<T>): Task<I, T> {
  return async (input) => {
    try {
      return { ok: true, value: await work(input) };
    } catch (thrown) {
      const { code, message, data } = ProxyError.from(thrown);
      return { ok: false, code, message, data };
    }
  };
}
