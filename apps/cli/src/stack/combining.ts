import { type Combined, type CombineMember, type CombineStats, combine } from '@shadowcat/combine';
import type { Clock, Handler, Log } from '@shadowcat/kernel';
import { type Destination, namerSlot } from '@shadowcat/upstream';
import { targetSlot } from '@shadowcat/wire';
import { VERSION } from '../version.js';
import type { Bridging } from './bridging.js';
import type { GroupConfig } from './contract.js';
import type { Owned } from './owned.js';

/** A group that is shown as one server. */
export interface CombinedGroup extends Destination {
  stats(): CombineStats;
}

export interface CombiningComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly owned: Owned;
  readonly bridging: Pick<Bridging, 'front'>;
  readonly listTimeoutMs: number;
}

/** Shows members as one server, to clients of both eras. Closed before its members are. */
export function combinedGroup(
  { name, combine: prefix }: GroupConfig,
  members: readonly CombineMember[],
  { clock, log, owned, bridging, listTimeoutMs }: CombiningComponents,
): CombinedGroup {
  const options = { name, version: VERSION, prefix, listTimeoutMs };
  const joined: Combined = combine(members, options, { clock, log, random: Math.random });
  owned.add(`the combined group ${name}`, () => joined.close());
  const handler: Handler = bridging.front(name, joined);
  return {
    name,
    has: (bound) => bound === name,
    handle: (exchange) => {
      exchange.context.set(targetSlot, name);
      exchange.context.set(namerSlot, name);
      return handler(exchange);
    },
    stats: () => joined.stats(),
  };
}
