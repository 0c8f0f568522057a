import { PROXY } from './audience.js';
import { type CommandName, many, one } from './option.js';
import { badValue, type OptionType } from './option-type.js';
import { takesForever } from './pattern-probe.js';
import { flag } from './scalar-types.js';

/* What is hidden on tapes. Recording, replaying and looking for what slipped through go by the same rules. */

const COMMANDS: readonly CommandName[] = [...PROXY, 'replay', 'verify', 'scan'];

const keyWords: OptionType<string> = {
  label: 'key',
  parse(value) {
    if (!/[A-Za-z0-9]/.test(value)) throw badValue(value, 'a key', 'write its words, as employee-number');
    return value;
  },
  show: (value) => value,
  schema: { type: 'string', pattern: '[A-Za-z0-9]' },
};

const expression: OptionType<string> = {
  label: 'regex',
  parse: regularExpression,
  show: (value) => value,
  schema: { type: 'string', minLength: 1 },
};

const keyOrExpression: OptionType<string> = {
  label: 'key|/regex/',
  parse(value) {
    const source = /^\/(.+)\/$/.exec(value)?.[1];
    if (source === undefined) return keyWords.parse(value);
    regularExpression(source);
    return value;
  },
  show: (value) => value,
  schema: { type: 'string', pattern: '[A-Za-z0-9]|^/.+/$' },
};

function regularExpression(value: string): string {
  let made: RegExp;
  try {
    made = new RegExp(value);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^Invalid regular expression: /, '') : '';
    throw badValue(value, 'a regular expression', why);
  }
  if (made.test('')) throw badValue(value, 'of use', 'it matches everything, since it matches nothing at all');
  if (takesForever(made))
    throw badValue(value, 'of use', 'on some texts it takes forever: write it without a repetition in a repetition');
  return value;
}

export const REDACTION_OPTIONS = [
  many({
    name: 'redact-key',
    type: keyWords,
    group: 'Recording',
    commands: COMMANDS,
    help: 'key whose values are secrets too, in any spelling, beside password, token, api-key and the like; repeatable',
    example: 'employee-number',
  }),
  many({
    name: 'redact-pattern',
    type: expression,
    group: 'Recording',
    commands: COMMANDS,
    help: 'what this matches is a secret, or what its first group matches; beside the known formats of tokens; repeatable',
    example: "'EMP-\\d{4}'",
  }),
  many({
    name: 'redact-allow',
    type: keyOrExpression,
    group: 'Recording',
    commands: COMMANDS,
    help: 'what is no secret: a key, or a whole value that matches; repeatable',
    example: "[csrf-token, '/test-\\w+/']",
  }),
  one({
    name: 'no-redact',
    type: flag,
    fallback: 'false',
    group: 'Recording',
    commands: [...PROXY, 'replay'],
    help: 'hide nothing but session ids and headers: for tapes that never leave this machine',
  }),
] as const;
