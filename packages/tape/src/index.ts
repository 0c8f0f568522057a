export { HEADER_ALLOW_LIST } from './lines.js';
export { type MemoryTape, memoryTape } from './memory-writer.js';
export type { MissReason } from './miss.js';
export { MAX_LINE, MESSAGE_LIMITS } from './parse-record.js';
export { type ReadTapeOptions, readTape, soundTape } from './read-tape.js';
export {
  type Recorder,
  type RecorderComponents,
  type RecorderOptions,
  type RecorderState,
  recorder,
} from './recorder.js';
export type { TapeLayout } from './recorder-lanes.js';
export * from './records.js';
export { createRedactor, type Hmac, hasPlaceholder, type RedactionOptions, type Redactor } from './redact.js';
export { SECRET_KEYS } from './redact-keys.js';
export { type Replay, type ReplayComponents, type ReplayOptions, replayHandler } from './replay-handler.js';
export type { MissReport, RecordingReport, ReplaySummary } from './replay-summary.js';
export { CHECKPOINT_EVERY, type Digest, type NewDigest, Seal } from './seal.js';
export { type ExchangeSummary, type SessionSummary, summariseTape, type TapeSummary } from './summary.js';
export type { TapeWriter, WriterState } from './writer.js';
