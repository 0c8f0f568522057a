import { concat, type Frame } from '@shadowcat/kernel';
import { sseBytes } from '@shadowcat/wire';

/** Ids of ours begin with this; an id that does not is the upstream's, and goes to it. */
const PREFIX = 'sc-';
const PATTERN = /^sc-([A-Za-z0-9]{1,64})_(\d{1,15})(?::([\x21-\x7e]+))?$/;
/** An upstream's id that fits into ours: it travels in a header, and costs memory with each event. */
const CARRIED = /^[\x21-\x7e]{1,128}$/;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A place on a kept stream: the event that a client has seen last. */
export interface EventPlace {
  readonly stream: string;
  readonly seq: number;
  /** The upstream's own last id at this place, for when we do not know the place any more. */
  readonly upstreamId: string | undefined;
}

/** An id of ours. It carries the upstream's own where that is short: a proxy that was killed has forgotten it. */
export function eventId(stream: string, seq: number, upstreamId?: string): string {
  const place = `${PREFIX}${stream}_${seq}`;
  return upstreamId === undefined || !CARRIED.test(upstreamId) ? place : `${place}:${upstreamId}`;
}

/** `undefined` for an id that is not of our making. */
export function readEventId(id: string): EventPlace | undefined {
  const match = PATTERN.exec(id);
  return match?.[1] === undefined ? undefined : { stream: match[1], seq: Number(match[2]), upstreamId: match[3] };
}

/** Whether a client may be sent this again: a message, or an id alone. Comments, `retry` and blank lines are not events. */
export function isEvent({ text, sse }: Frame): boolean {
  return text !== undefined || sse?.id !== undefined;
}

/** The event that primes a client to come back before it had a message (2025-11-25, Transports). */
export function primingBytes(id: string): Uint8Array {
  return encoder.encode(`id: ${id}\ndata: \n\n`);
}

/** A message of the proxy's own as an event. */
export function messageBytes(id: string, text: string): Uint8Array {
  return encoder.encode(`id: ${id}\nevent: message\ndata: ${text}\n\n`);
}

/** An event as it leaves: with `id` in place of the upstream's, all else as it came. */
export function withEventId(frame: Frame, id: string): Uint8Array {
  const line = encoder.encode(`id: ${id}\n`);
  const arrived = frame.bytes ?? sseBytes(frame);
  const bytes = isMarked(arrived) ? arrived.subarray(3) : arrived;
  const rest = frame.sse?.id === undefined ? bytes : encoder.encode(decoder.decode(bytes).replace(ID_LINES, ''));
  return concat([line, rest], line.length + rest.length);
}

const ID_LINES = /(?<=^|[\r\n])id(?::[^\r\n]*)?(?:\r\n|[\r\n])/g;

function isMarked(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}
