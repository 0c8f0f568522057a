import {
  CHILDREN_OPTIONS,
  LIMIT_OPTIONS,
  LOGGING_OPTIONS,
  SESSION_OPTIONS,
  UPSTREAM_OPTIONS,
} from './behaviour-options.js';
import { LISTENING_OPTIONS, RECORDING_OPTIONS, REPLAY_OPTIONS, TARGET_OPTIONS } from './connection-options.js';
import { MIRROR_OPTIONS } from './mirror-options.js';
import type { CommandName, OptionSpec, ValueOf } from './option.js';
import { PROTECTION_OPTIONS } from './protection-options.js';
import { REDACTION_OPTIONS } from './redaction-options.js';
import { VERIFY_OPTIONS } from './verify-options.js';

/** Every option there is, in the order in which help and documentation show them. */
export const OPTIONS = [
  ...TARGET_OPTIONS,
  ...LISTENING_OPTIONS,
  ...RECORDING_OPTIONS,
  ...REDACTION_OPTIONS,
  ...REPLAY_OPTIONS,
  ...VERIFY_OPTIONS,
  ...SESSION_OPTIONS,
  ...CHILDREN_OPTIONS,
  ...UPSTREAM_OPTIONS,
  ...PROTECTION_OPTIONS,
  ...MIRROR_OPTIONS,
  ...LIMIT_OPTIONS,
  ...LOGGING_OPTIONS,
] as const;

export type OptionName = (typeof OPTIONS)[number]['name'];

/** The value that each option ends up with. */
export type Values = { readonly [S in (typeof OPTIONS)[number] as S['name']]: ValueOf<S> };

/** The same table without the types of the values, for code that treats all options alike. */
export const SPECS: readonly OptionSpec[] = OPTIONS as readonly unknown[] as readonly OptionSpec[];

const BY_NAME = new Map(SPECS.map((spec) => [spec.name, spec]));

export function specOf(name: string): OptionSpec | undefined {
  return BY_NAME.get(name);
}

/** The options of one command, or of all. */
export function specsOf(command: CommandName | 'all'): readonly OptionSpec[] {
  return command === 'all' ? SPECS : SPECS.filter((spec) => spec.commands.includes(command));
}
