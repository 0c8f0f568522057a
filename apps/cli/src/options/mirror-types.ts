import { badValue, type OptionType } from './option-type.js';

/** A JSON Pointer (RFC 6901) below the root; `*` as a step means any. */
export const pointer: OptionType<string> = {
  label: 'pointer',
  parse(value) {
    if (!/^\/(?:[^~]|~[01])*$/s.test(value)) {
      throw badValue(value, 'a JSON pointer', 'write the way to a value, as /content/0/text; * is any one step');
    }
    return value;
  },
  show: (value) => value,
  schema: { type: 'string', pattern: '^/([^~]|~[01])*$' },
};
