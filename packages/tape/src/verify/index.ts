export { pointerText } from '../pointer.js';
export { type AnswerDifference, LEVELS, type Level } from './compare.js';
export type { Flow } from './flows.js';
export type { ExchangeResult, ExchangeStatus } from './judge.js';
export { learn, type Proposal, type ProposedNormaliser, type ProposedRule, proposalText, ruleText } from './learn.js';
export type { Connect, Sent, ServerEar, ServerLine } from './server-line.js';
export { type UpdatedTape, updatedTape } from './update.js';
export {
  countStatuses,
  flowsOfTapes,
  type Verification,
  type VerifyComponents,
  type VerifyOptions,
  verifyExitCode,
  verifyTapes,
} from './verify.js';
