import type { Step } from './recording.js';

/** `instant`: nothing waits but for its causes. A number: so many times as fast as it was recorded. */
export type ReplayTime = 'instant' | number;

/** A recorded pause is never made longer than this, in milliseconds. */
const MAX_GAP_MS = 5000;

/** How long to wait before a message, in milliseconds. */
export function pauseBefore(step: Step, time: ReplayTime): number {
  return time === 'instant' ? 0 : Math.min(MAX_GAP_MS, step.gapMs / time);
}
