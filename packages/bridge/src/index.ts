export { type Bridge, type BridgeStats, bridge } from './bridge.js';
export type { BridgeComponents, BridgeOptions } from './contract.js';
export { legacyOverModern } from './legacy-over-modern/legacy-over-modern.js';
export { HeldQuestions } from './modern-over-legacy/held.js';
export { type QuestionLoss, QuestionRoom, type QuestionRoomOptions } from './question-room.js';
