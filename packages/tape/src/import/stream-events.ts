import type { Frame } from '@shadowcat/kernel';
import { sseFraming } from '@shadowcat/wire';

/** How much the decoder gets at once: what it read before an event that it refuses is kept. */
const PIECE = 65_536;

/** The frames of an event stream that is there as a whole. One over the limit ends the stream there. */
export function streamFrames(body: Uint8Array): Frame[] {
  const decoder = sseFraming.decoder();
  const frames: Frame[] = [];
  try {
    for (let at = 0; at < body.length; at += PIECE) frames.push(...decoder.push(body.subarray(at, at + PIECE)));
    frames.push(...decoder.end());
  } catch {
    // Nothing behind it can be told apart.
  }
  return frames;
}
