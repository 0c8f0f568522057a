import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tapeSchema } from '@shadowcat/tape';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';

const TAPES = join(import.meta.dirname, '..', '..', '..', 'packages', 'tape', 'test', 'tapes');
const validate = new Ajv2020({ allErrors: true, strict: true, strictRequired: false }).compile(tapeSchema());

describe('the schema of a tape', () => {
  it.each(['v1-capture.tape.jsonl', 'v1-golden.tape.jsonl'])('describes every line of %s', (name) => {
    const lines = readFileSync(join(TAPES, name), 'utf8').trimEnd().split('\n');
    for (const line of lines) {
      const fits = validate(JSON.parse(line));
      expect({ line, errors: fits ? [] : validate.errors }).toEqual({ line, errors: [] });
    }
  });

  it.each([
    { t: 1 },
    { k: 'head', v: 2, form: 'golden' },
    { k: 'head', v: 1, form: 'silver' },
    { k: 'msg', s: 's1', x: '1', from: 'client' },
    { k: 'msg', s: 's1', x: '1', from: 'proxy', m: {} },
    { k: 'http', s: 'lane', x: '1', from: 'client' },
    { k: 'x-', s: 's1', x: '1', end: 'somehow' },
    { k: 'end', lines: 1, lost: 0, sha: 'abc' },
  ])('refuses %j', (record) => {
    expect(validate(record)).toBe(false);
  });

  it('allows kinds of later versions', () => {
    expect(validate({ k: 'later', anything: 1 })).toBe(true);
  });
});
