export {
  type Balance,
  type BalanceComponents,
  type BalanceOptions,
  type BalanceTarget,
  balance,
  type TargetCondition,
  type TargetState,
} from './balance.js';
