import { badValue, type OptionType } from '../options/option-type.js';
import { NAME } from './shape.js';

/** The name of an upstream or of a group. */
export const name: OptionType<string> = {
  label: 'name',
  parse(value) {
    if (!new RegExp(NAME).test(value)) throw badValue(value, 'a name', 'write letters, digits, - _ and .');
    return value;
  },
  show: (value) => value,
  schema: { type: 'string', pattern: NAME },
};
