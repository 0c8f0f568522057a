export type { AdoptionRequest, Adopts } from './adoption.js';
export type { EventBatch, EventStore, StoredEvent, StreamRecord } from './event-store.js';
export { memoryStore } from './memory-store.js';
export {
  type SessionComponents,
  type SessionLayer,
  type SessionOptions,
  type SessionStats,
  sessionLayer,
} from './session-layer.js';
export {
  advance,
  END_REASONS,
  type EndReason,
  isIdle,
  type SessionEvent,
  type SessionPhase,
  type SessionState,
} from './state.js';
export type { SessionRecord, SessionStore } from './store.js';
