import { connectV1 } from './client-v1.js';
import { connectV2, type V2Mode } from './client-v2.js';
import type { Json } from './json.js';
import type { ConnectOptions, Target } from './test-client.js';
import type { Tour } from './tours.js';
import { Scribe, type Transcript } from './transcript.js';

/** The real clients that every server, proxied or not, is driven with. */
export type ClientKind = 'v1' | `v2-${V2Mode}`;

export interface DriveOptions extends ConnectOptions {
  readonly tour: Tour;
}

/** Connects SDK v1, makes the tour, ends the session, and tells what came back. */
async function driveV1(target: Target, { tour, ...options }: DriveOptions): Promise<Transcript> {
  const received: Json[] = [];
  await using client = await connectV1(target, { ...options, onMessage: (message) => received.push(message) });
  const scribe = new Scribe(client, received);
  await tour(scribe);
  return scribe.steps;
}

/** Connects client v2 in a mode, makes the tour, ends the session, and tells what came back. */
async function driveV2(
  target: Target,
  { tour, ...options }: DriveOptions & { readonly mode: V2Mode },
): Promise<Transcript> {
  const received: Json[] = [];
  await using client = await connectV2(target, { ...options, onMessage: (message) => received.push(message) });
  const scribe = new Scribe(client, received);
  await tour(scribe);
  return scribe.steps;
}

/** {@link driveV1} or {@link driveV2} by name, for tables of tests. */
export function drive(kind: ClientKind, target: Target, options: DriveOptions): Promise<Transcript> {
  switch (kind) {
    case 'v1':
      return driveV1(target, options);
    case 'v2-legacy':
      return driveV2(target, { ...options, mode: 'legacy' });
    case 'v2-auto':
      return driveV2(target, { ...options, mode: 'auto' });
    case 'v2-pinned':
      return driveV2(target, { ...options, mode: 'pinned' });
  }
}
