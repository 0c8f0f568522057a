import { asObject, type JsonObject } from '@shadowcat/wire';
import type { Recording, Step } from './recording.js';

/** What is told of a recording while its tape is read. */
interface Leg {
  readonly method: string;
  readonly target: string | undefined;
  readonly retryKey: string | undefined;
  readonly message: Recording['message'];
  readonly answer: Step | undefined;
  previous: Leg | undefined;
  next: Leg | undefined;
}

/**
 * Finds the requests that are one operation (2026-07-28): an answer asks for input, and the retry that brings it has the
 * answer's `requestState`, or, where there is none, answers to just its questions.
 */
export class Legs<T extends Leg> {
  /** Those that ask for input and were not retried yet. */
  readonly #asking: T[] = [];

  /** The answer of a request has come. */
  answered(leg: T): void {
    if (resultOf(leg)?.['resultType'] === 'input_required') this.#asking.push(leg);
  }

  /** A request has come: joins it to the one that it goes on from, if it does. */
  retried(leg: T): void {
    const params = asObject(leg.message.value['params']);
    const state = params?.['requestState'];
    if (leg.retryKey === undefined && state === undefined) return;
    const index = this.#asking.findIndex((asking) => {
      if (asking.method !== leg.method || asking.target !== leg.target) return false;
      const asked = resultOf(asking);
      if (asked?.['requestState'] !== undefined) return asked['requestState'] === state;
      return keysOf(asked?.['inputRequests']) === keysOf(params?.['inputResponses']);
    });
    const [previous] = index < 0 ? [] : this.#asking.splice(index, 1);
    if (previous === undefined) return;
    leg.previous = previous;
    previous.next = leg;
  }
}

function resultOf({ answer }: Leg): JsonObject | undefined {
  return asObject(answer?.value['result']);
}

function keysOf(value: unknown): string {
  return Object.keys(asObject(value) ?? {})
    .sort()
    .join('\n');
}
