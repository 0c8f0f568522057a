import type { OptionType } from './option-type.js';

/** Which commands an option belongs to; `scan` stands for `tape scan` and `tape redact`. */
export type CommandName = 'reverse' | 'record' | 'replay' | 'verify' | 'doctor' | 'tape' | 'scan' | 'shadow';

/** Under which heading an option is found in help, in the documentation and in a new configuration file. */
export type Group =
  | 'Target'
  | 'Listening'
  | 'Recording'
  | 'Replay'
  | 'Verify'
  | 'Sessions'
  | 'Children'
  | 'Upstream'
  | 'Protection'
  | 'Mirror'
  | 'Limits'
  | 'Logging';

interface OptionText<N extends string, T> {
  /**
   * In kebab-case. The flag is `--name`, the key in the configuration file `name`, the variable in the environment
   * `SHADOWCAT_NAME`, with `_` for `-`.
   */
  readonly name: N;
  readonly type: OptionType<T>;
  readonly group: Group;
  readonly commands: readonly CommandName[];
  /** One line, for help, documentation, schema and the comments of a new file. Without the default. */
  readonly help: string;
  /** As it would stand in the file; for the documentation. */
  readonly example?: string;
}

/** One option, as data: everything else about options is derived from these. */
export interface OptionSpec<N extends string = string, T = unknown, K extends Kind = Kind> extends OptionText<N, T> {
  readonly kind: K;
  /** The value when nobody gives one, as a text of its type. */
  readonly fallback: K extends 'one' ? string : undefined;
  /**
   * Where the command line has it: as a flag, as what follows `--`, as positional arguments. `words` are never split: the
   * file has them as a list.
   */
  readonly place: 'flag' | 'words' | 'arguments';
  /** Options without which it means nothing together: the one from the higher source wins, and two from one are an error. */
  readonly rivals: readonly string[];
}

/** `one`: always a value; `maybe`: a value or undefined; `many`: a list, perhaps empty. */
export type Kind = 'one' | 'maybe' | 'many';

export type ValueOf<S> =
  S extends OptionSpec<string, infer T, infer K>
    ? K extends 'one'
      ? T
      : K extends 'maybe'
        ? T | undefined
        : readonly T[]
    : never;

interface Extra {
  readonly place?: OptionSpec['place'];
  readonly rivals?: readonly string[];
}

/** An option that always has a value. */
export function one<const N extends string, T>(
  spec: OptionText<N, T> & Pick<Extra, 'rivals'> & { readonly fallback: string },
): OptionSpec<N, T, 'one'> {
  return { kind: 'one', place: 'flag', rivals: [], ...spec };
}

/** An option that may be left out. */
export function maybe<const N extends string, T>(spec: OptionText<N, T> & Extra): OptionSpec<N, T, 'maybe'> {
  return { kind: 'maybe', place: 'flag', rivals: [], fallback: undefined, ...spec };
}

/** An option that may be given several times. */
export function many<const N extends string, T>(spec: OptionText<N, T> & Extra): OptionSpec<N, T, 'many'> {
  return { kind: 'many', place: 'flag', rivals: [], fallback: undefined, ...spec };
}

export const flagOf = (name: string): string => `--${name}`;
export const variableOf = (name: string): string => `SHADOWCAT_${name.toUpperCase().replaceAll('-', '_')}`;
