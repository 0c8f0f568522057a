import { ProxyError } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { failureText } from '../src/failure.js';
import { createLog } from '../src/log.js';
import { takesForever } from '../src/options/pattern-probe.js';
import { printable, printableJson } from '../src/printable.js';

const STEERING = '\u001b]0;pwn\u0007\u001b[2J\u009b1m\u202e';
const SHOWN = '\\u001b]0;pwn\\u0007\\u001b[2J\\u009b1m\\u202e';

describe('what would steer a terminal', () => {
  it('is shown in the message of a failure, whose lines stay lines', () => {
    const error = new ProxyError('tape_invalid', `a: ${STEERING}\nb`);
    expect(failureText(error, false)).toBe(`shadowcat: a: ${SHOWN}\nb\n`);
    for (const character of ['\u001b', '\u009b']) expect(failureText(error, true)).not.toContain(character);
  });

  it('is shown in the log for people, and escaped in the one for programs', () => {
    for (const format of ['pretty', 'json'] as const) {
      let text = '';
      const write = (line: string): void => {
        text += line;
      };
      const log = createLog({ level: 'info', format, terminal: false, colour: false, write });
      log.info({ name: STEERING }, `asked for ${STEERING}`);
      expect(text).toContain('\\u001b]0;pwn\\u0007');
      expect(text).not.toContain('\u001b');
    }
  });

  it('is shown in JSON that will be decoded, where nothing else changes', () => {
    const value = { text: STEERING, plain: 'C:\\u001b \\ "é"\n' };
    expect(JSON.parse(printableJson(JSON.stringify(value)))).toEqual({ text: SHOWN, plain: value.plain });
    expect(printable(STEERING)).toBe(SHOWN);
  });
});

describe('an expression of a project', () => {
  it.each(['(a+)+$', 'EMP:([a-z]+)*$'])('is found to take forever: %s', (source) => {
    expect(takesForever(new RegExp(source))).toBe(true);
  });

  it.each(['EMP-\\d{4}', 'badge (\\d+)', '(\\w+\\.)+\\w+', '.*secret.*', '^\\d{6}$'])('is fine: %s', (source) => {
    expect(takesForever(new RegExp(source))).toBe(false);
  });
});
