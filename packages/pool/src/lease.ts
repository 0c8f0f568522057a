import type { ProxyError } from '@shadowcat/kernel';
import type { Lease } from './types.js';

/** What a lease asks of its pool. */
export interface LeaseParts {
  /** Called once for each lease. */
  giveBack(spoiled: ProxyError | undefined): void;
  /** Returns how to take it back. */
  loosen(dispensable: () => boolean): () => void;
}

/** A lease that can be given back once. */
export class ResourceLease<R> implements Lease<R> {
  readonly value: R;
  #parts: LeaseParts | undefined;
  #tighten: (() => void) | undefined;

  constructor(value: R, parts: LeaseParts) {
    this.value = value;
    this.#parts = parts;
  }

  release(): void {
    this.#done(undefined);
  }

  spoil(error: ProxyError): void {
    this.#done(error);
  }

  loosen(dispensable: () => boolean): void {
    this.#tighten?.();
    this.#tighten = this.#parts?.loosen(dispensable);
  }

  #done(spoiled: ProxyError | undefined): void {
    const parts = this.#parts;
    this.#parts = undefined;
    this.#tighten?.();
    parts?.giveBack(spoiled);
  }
}
