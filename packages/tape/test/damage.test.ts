import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ProxyError } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { readTape, type Tape } from '../src/index.js';
import { newDigest } from './support/rig.js';

const TAPES = join(import.meta.dirname, 'tapes');

/** What is wrong with these bytes: the kinds of problems, or `none` for what is no tape at all. */
function damageOf(bytes: Uint8Array): readonly string[] {
  let tape: Tape;
  try {
    tape = readTape(bytes, { name: 't.tape.jsonl', newDigest });
  } catch (error) {
    expect(error).toBeInstanceOf(ProxyError);
    return ['none'];
  }
  return tape.problems.map(({ kind }) => kind).filter((kind) => kind !== 'gap');
}

describe.each(['v1-capture.tape.jsonl', 'v1-golden.tape.jsonl'])('damage to %s', (name) => {
  const bytes = readFileSync(join(TAPES, name));
  const golden = name.includes('golden');
  const offsets = Array.from({ length: 200 }, (_, index) => Math.floor((index * bytes.length) / 200));

  it('is found at each of 200 offsets where a byte is another one', () => {
    expect(damageOf(bytes)).toEqual([]);
    for (const offset of offsets) {
      for (const flip of [0x01, 0x20, 0x80]) {
        const changed = Uint8Array.from(bytes);
        changed[offset] = (changed[offset] ?? 0) ^ flip;
        const [kind] = damageOf(changed);
        expect(['none', 'invalid', golden ? 'edited' : 'corrupt', 'truncated'], `byte ${offset} ^ ${flip}`).toContain(
          kind,
        );
      }
    }
  });

  it('is found at each of 200 offsets where it is cut, and what is before stays readable', () => {
    const whole = readTape(bytes, { name, newDigest });
    for (const offset of offsets) {
      const cut = bytes.subarray(0, offset);
      const kinds = damageOf(cut);
      expect(kinds.length, `cut at ${offset}`).toBeGreaterThan(0);
      if (kinds[0] === 'none') continue;
      const tape = readTape(cut, { name, newDigest });
      expect(tape.records).toEqual(whole.records.slice(0, tape.records.length));
    }
  });
});
