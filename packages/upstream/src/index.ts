export {
  type Balance,
  type BalanceComponents,
  type BalanceOptions,
  type BalanceTarget,
  balance,
  type TargetCondition,
  type TargetState,
} from './balance.js';
export {
  type Isolation,
  isSharedKey,
  type LineLease,
  type LineUpstreamComponents,
  type LineUpstreamOptions,
  lineUpstream,
  sessionOfKey,
} from './line-upstream.js';
