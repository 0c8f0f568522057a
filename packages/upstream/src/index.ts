export type { BalancePolicy } from './choosing/policy.js';
export { type Destination, Group, type GroupComponents, type GroupOptions, type HashOn } from './group.js';
export {
  type Isolation,
  isSharedKey,
  type LineLease,
  type LineUpstreamComponents,
  type LineUpstreamOptions,
  lineUpstream,
  sessionOfKey,
} from './line-upstream.js';
export {
  avoidSlot,
  type Condition,
  type ExchangeOutcome,
  type Gate,
  type GateState,
  type Member,
  namerSlot,
  type Pass,
} from './member.js';
export { createGate, type GateComponents, type GateOptions, type ProbedGate } from './protect/gate.js';
export { type HedgeComponents, hedge } from './protect/hedge.js';
export { type InFlightLimit, inFlightLimit } from './protect/in-flight-limit.js';
export { OpeningGate, type OpeningGateOptions } from './protect/opening-gate.js';
export { ProbeDialogue, type ProbeDialogueOptions } from './protect/probe-dialogue.js';
export { type ProbeComponents, type Probed, type ProbeOptions, Probes } from './protect/probes.js';
export { type RetryComponents, type RetryOptions, retry } from './protect/retry.js';
export { RetryBudget, type RetryBudgetOptions } from './protect/retry-budget.js';
export { type TimeLimitOptions, type TimeLimits, timeLimits } from './protect/time-limits.js';
export { saysReadOnly, ToolHints } from './protect/tool-hints.js';
export type { RouteMatch } from './route.js';
export { type Route, type RouterOptions, router } from './router.js';
export { mainSessionOf } from './side-session.js';
export { type MemberOptions, UpstreamMember } from './upstream-member.js';
