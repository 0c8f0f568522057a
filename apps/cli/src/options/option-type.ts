/** A JSON Schema (draft-07), as far as option values need one. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** A text that is no value of its type. `message` says what it is instead of, and how to write one. */
export class BadValue extends Error {
  override readonly name = 'BadValue';
}

/** A kind of option value: how a text becomes one, how one is shown, what an editor is told about it. */
export interface OptionType<T> {
  /** What stands for the value in help and documentation, such as `duration`. */
  readonly label: string;
  /** The value that `text` means, whether it came from a flag, the environment or the file. Throws {@link BadValue}. */
  parse(text: string): T;
  /** The value as a person would write it; `parse(show(value))` equals `value`. */
  show(value: T): string;
  /** Instead of {@link OptionType.show} where others may look; for values that are or hold secrets. */
  conceal?(value: T): string;
  /** What the configuration file may hold. */
  readonly schema: JsonSchema;
  /** Whether the file may also hold a mapping, each entry of which means `key=value`. */
  readonly pairs?: boolean;
}

/** `"text" is no <what>: <hint>`, with the text cut to a readable length. */
export function badValue(text: string, what: string, hint: string): BadValue {
  const shown = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return new BadValue(text === '' ? `the value is empty: ${hint}` : `"${shown}" is not ${what}: ${hint}`);
}

/** What is shown in a secret's place. */
export const CONCEALED = '***';
