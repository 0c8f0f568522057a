export { blobPath, blobPaths, type TapeBlob, withBlobs } from './blobs.js';
export { cutLayer } from './cut-layer.js';
export { diffTapes, type OperationChange, type TapeDiff } from './diff.js';
export type { Difference } from './differences.js';
export * from './export/index.js';
export { type GoldenOptions, type GoldenTape, goldenOf } from './golden.js';
export { detectFormat, type ImportedTraffic, type ImportOptions, importTraffic } from './import/import-traffic.js';
export { type Decode, IMPORT_FORMATS, type ImportFormat } from './import/imported.js';
export { HEADER_ALLOW_LIST } from './lines.js';
export { type LintFinding, lintTape } from './lint.js';
export { LINT_RULES, type LintRule, type Severity } from './lint-rules.js';
export { type MemoryTape, memoryTape } from './memory-writer.js';
export type { MissReason } from './miss.js';
export {
  type ExpectRule,
  FAULTS,
  type Fault,
  type FaultRule,
  type LatencyRule,
  mergeOverlays,
  NO_OVERLAY,
  NORMALISERS,
  type NormaliseRule,
  type Normaliser,
  type Overlay,
  type PlacesRule,
  type ReplaceRule,
  RUNGS,
  type Rung,
  type Selector,
  selectorText,
} from './overlay.js';
export { overlayReach, type RuleReach } from './overlay-reach.js';
export type { ReplayTime } from './pace.js';
export { MAX_LINE, MESSAGE_LIMITS } from './parse-record.js';
export { type Pointer, pointerText, readPointer } from './pointer.js';
export { adviceFor, type ReadTapeOptions, readTape, soundTape } from './read-tape.js';
export { tapeSchema } from './record-schema.js';
export {
  type Recorder,
  type RecorderComponents,
  type RecorderOptions,
  type RecorderState,
  recorder,
} from './recorder.js';
export type { TapeLayout } from './recorder-lanes.js';
export type { Place } from './recording.js';
export * from './records.js';
export { createRedactor, type Hmac, hasPlaceholder, type Redactor } from './redact.js';
export { SECRET_KEYS } from './redact-keys.js';
export { recognising, secretValues, withRequestsRedacted } from './redact-known.js';
export type { RedactionOptions, SecretFinding } from './redact-rules.js';
export { redactCapture, redactGolden, redactLine } from './redact-tape.js';
export { type Replay, type ReplayComponents, type ReplayOptions, replayHandler } from './replay-handler.js';
export type {
  AnswerReport,
  ExpectationReport,
  MissReport,
  RecordingReport,
  RemarkReport,
  ReplaySummary,
} from './replay-summary.js';
export type { Rating } from './schema-changes.js';
export { CHECKPOINT_EVERY, type Digest, type NewDigest, Seal } from './seal.js';
export { type ExchangeSummary, type SessionSummary, summariseTape, type TapeSummary } from './summary.js';
export type { SurfaceChange } from './surface-changes.js';
export { type TimelineEntry, timelineOf } from './timeline.js';
export * from './verify/index.js';
export type { TapeWriter, WriterState } from './writer.js';
