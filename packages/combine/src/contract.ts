import type { Clock, Handler, Log } from '@shadowcat/kernel';

/** One of the servers that are joined. Its handler answers modern requests; what it does not speak itself is bridged. */
export interface CombineMember {
  /** As in the configuration; also the prefix of its names where they collide. Letters, digits, `-`, `_` and `.`. */
  readonly name: string;
  readonly handler: Handler;
}

export interface CombineOptions {
  /** What clients see as the server's name. */
  readonly name: string;
  /** What clients see as the server's version. */
  readonly version: string;
  /** Which names get their member's name in front: those that several members have (default), or all. */
  readonly prefix?: 'collisions' | 'always' | undefined;
  /** How long a list waits for a member, in milliseconds, unless it is late already. Default 3000. */
  readonly listTimeoutMs?: number | undefined;
}

export interface CombineComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** 0 to 1, without 1. */
  readonly random: () => number;
}

/** Figures of the joined servers, for metrics. */
export interface CombineStats {
  /** Lists that were answered without one of the members, since the start. */
  readonly partial: number;
  /** For each member: how many of its lists could not be had when they were last asked for. */
  readonly missing: Readonly<Record<string, number>>;
  /** Clients that listen for changes. */
  readonly listeners: number;
}
