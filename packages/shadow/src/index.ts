export type { Difference } from './compare.js';
export type {
  MirrorComponents,
  MirroredMethod,
  MirrorOptions,
  MirrorOutcome,
  MirrorStats,
  SkipReason,
  Subject,
  ToolMarks,
  Verdict,
} from './contract.js';
export { type Mirror, mirror } from './mirror.js';
export { BEYOND, type ComparedRow, type DifferenceRow, Tally, type TallyOptions } from './tally.js';
