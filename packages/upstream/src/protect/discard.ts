import type { Reply } from '@shadowcat/kernel';

/** Gives up a reply that nobody reads any more, which ends whoever does; what goes wrong with that is nobody's business. */
export function discard(reply: Reply): void {
  Promise.resolve(reply[Symbol.asyncDispose]()).catch(() => {});
}
