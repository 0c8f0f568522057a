import { ProxyError } from '@shadowcat/kernel';
import { beforeAll, describe, expect, it } from 'vitest';
import { MAX_LINE, readTape, soundTape, type Tape } from '../src/index.js';
import { bytesOf, call, newDigest, recordingRig, TestClient } from './support/rig.js';
import { legacyServer } from './support/servers.js';

const read = (bytes: Uint8Array): Tape => readTape(bytes, { name: 't.tape.jsonl', newDigest });
const readText = (text: string): Tape => read(bytesOf(text));

/** What reading gives: a tape, or the message of the error. */
function attempt(bytes: Uint8Array): Tape | string {
  try {
    return read(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(ProxyError);
    return (error as ProxyError).message;
  }
}

const HEAD = '{"k":"head","v":1,"form":"capture","requires":[]}';
let sample: string;

/** A tape with two checkpoints and an end. */
beforeAll(async () => {
  const rig = recordingRig();
  const client = new TestClient(rig.layer(legacyServer()));
  await client.open();
  rig.clock.advance(1000);
  await client.post(call(1, 'écho', { text: 'ünïcode 😀' }));
  rig.clock.advance(1000);
  await client.post(call(2, 'echo', { n: 1 }));
  await client.end();
  await rig.layer.close();
  sample = rig.tapes[0]?.text ?? '';
});

describe('a tape', () => {
  it('is read whole', () => {
    const tape = soundTape(readText(sample));
    expect(tape.records.filter(({ k }) => k === 'ckpt')).toHaveLength(2);
    expect(tape.end).toMatchObject({ k: 'end', lost: 0 });
    expect(tape.problems).toEqual([]);
    expect(tape.sound).toBe(bytesOf(sample).length);
    expect(tape.head).toMatchObject({ v: 1, form: 'capture', by: 'test', redaction: { key: 'key-1' } });
  });

  it('is plain data, so that a worker can hand it over', () => {
    const tape = readText(sample);
    expect(structuredClone(tape)).toEqual(tape);
  });

  it('is readable up to wherever it is cut', () => {
    const bytes = bytesOf(sample);
    const whole = readText(sample);
    for (let length = 0; length < bytes.length; length += 1) {
      const tape = attempt(bytes.subarray(0, length));
      if (typeof tape === 'string') {
        expect(tape).toMatch(/^t\.tape\.jsonl(:1)?: /);
        continue;
      }
      expect(tape.problems).toMatchObject([{ kind: 'truncated' }]);
      expect(tape.records).toEqual(whole.records.slice(0, tape.records.length));
      expect(() => soundTape(tape)).toThrow(/t\.tape\.jsonl:\d+: .* shadowcat tape recover t\.tape\.jsonl$/);
    }
  });

  it('reports a changed byte wherever it is', () => {
    const bytes = bytesOf(sample);
    for (let at = 0; at < bytes.length; at += 1) {
      for (const flip of [0x01, 0x80]) {
        const changed = bytes.slice();
        changed[at] = (changed[at] ?? 0) ^ flip;
        const tape = attempt(changed);
        if (typeof tape === 'string') continue;
        expect(tape.problems.length, `byte ${at} ^ ${flip}`).toBeGreaterThan(0);
        expect(() => soundTape(tape)).toThrow(/^t\.tape\.jsonl:\d+: /);
      }
    }
  });

  it('names the lines in which a change lies, when it is still a tape', () => {
    const tape = readText(sample.replace('"echo"', '"ecko"'));
    expect(() => soundTape(tape)).toThrow(/lines \d+ to \d+ do not have the digest .*changed after they were written/);
  });

  it('says so when its line endings were changed', () => {
    expect(() => soundTape(readText(sample.replaceAll('\n', '\r\n')))).toThrow(/line endings were changed/);
  });

  it.each(['deleted', 'repeated', 'swapped'])('reports lines that were %s', (how) => {
    const lines = sample.split('\n');
    const [a = '', b = ''] = lines.splice(5, 2);
    lines.splice(5, 0, ...(how === 'deleted' ? [a] : how === 'repeated' ? [a, a, b] : [b, a]));
    expect(() => soundTape(readText(lines.join('\n')))).toThrow(/digest/);
  });

  it('may have kinds that this reader does not know', () => {
    const tape = readText(`${HEAD}\n{"k":"future","m":{"a":1}}\n`);
    expect(tape.records[1]).toEqual({ k: 'other', kind: 'future', line: 2, text: '{"k":"future","m":{"a":1}}' });
  });

  it('keeps the text of a message as it is', () => {
    const m = '{ "jsonrpc":"2.0","id":9007199254740993,"x":1.0,"s":"\\u00e9,\\"m\\":" }';
    const tape = readText(`${HEAD}\n{"k":"msg","s":"-","x":"1","from":"client","m":${m}}\n`);
    expect(tape.records[1]).toMatchObject({ k: 'msg', text: m });
  });

  it('may have been written by another program, with space between its tokens', () => {
    const tape = readText(`${HEAD}\n{ "k": "msg", "s": "-", "x": "1", "from": "client", "m": {"a": [1, 2]} }\n`);
    expect(tape.records[1]).toMatchObject({ k: 'msg', text: '{"a": [1, 2]}' });
  });

  it('may hold fields whose text looks like a message', () => {
    const line = '{"k":"http","s":"-","x":"1","from":"client","headers":{"accept":"a","m":"b"}}';
    expect(readText(`${HEAD}\n${line}\n`).records[1]).toMatchObject({ k: 'http', headers: { accept: 'a', m: 'b' } });
  });
});

describe('what is no tape', () => {
  it.each([
    ['', /the file is empty/],
    ['\n', /:1: .*JSON/],
    ['hello\n', /:1: .*JSON/],
    ['{"k":"msg","s":"-","x":"1","from":"client","m":{}}\n', /the first line is no head record/],
    [
      '{"k":"head","v":2,"form":"capture","requires":[]}\n',
      /format version 2, which this version of Shadowcat cannot read/,
    ],
    ['{"k":"head","v":1,"form":"capture","requires":["smells"]}\n', /needs smells/],
    ['{"k":"head","v":1,"form":"silver"}\n', /"form" of a head record has to be capture, golden/],
    ['[1]\n', /not a JSON object/],
    ['{"v":1}\n', /no kind/],
  ])('is refused: %j', (text, message) => {
    expect(() => readText(text)).toThrow(message);
  });
});

describe('hostile lines', () => {
  const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const message = (m: string): string => `{"k":"msg","s":"-","x":"1","from":"client","m":${m}}`;

  it.each([
    ['a key twice in a record', '{"k":"gap","lost":1,"lost":2,"why":""}', /"lost" twice/],
    ['a key twice in a message', message('{"id":1,"id":2}'), /"id" twice/],
    ['a kind after the message', '{"k":"msg","s":"-","x":"1","from":"client","m":{},"k":"end"}', /"k" twice/],
    ['too deep a message', message(deep(5000)), /nested deeper/],
    ['too deep a record', `{"k":"future","a":${deep(5000)}}`, /nested deeper/],
    ['too many values', message(`[${'0,'.repeat(1_000_001)}0]`), /more than 1000000 values/],
    ['a broken message', message('{"a":}'), /JSON/],
    ['no message', '{"k":"msg","s":"-","x":"1","from":"client"}', /"m" of a msg record has to be there/],
    ['another type', '{"k":"msg","s":5,"x":"1","from":"client","m":{}}', /"s" of a msg record has to be a string/],
    ['another sender', '{"k":"msg","s":"-","x":"1","from":"me","m":{}}', /client, server/],
    ['a second head', HEAD, /second head/],
    ['an end that does not fit', '{"k":"end","lines":7,"lost":0,"sha":"00"}', /digest/],
  ])('are refused: %s', (_, line, expected) => {
    const tape = readText(`${HEAD}\n${line}\n`);
    expect(() => soundTape(tape)).toThrow(expected);
    expect(() => soundTape(tape)).toThrow(/^t\.tape\.jsonl:2: /);
    expect(tape.records).toHaveLength(1);
  });

  it('are refused when they are too long', () => {
    const tape = readText(`${HEAD}\n${message(`"${'x'.repeat(MAX_LINE)}"`)}\n`);
    expect(() => soundTape(tape)).toThrow(/:2: the line is longer than/);
  });

  it('cannot reach the prototypes of objects', () => {
    const line =
      '{"k":"sess","s":"-","era":"legacy","client":{"__proto__":{"polluted":1}},"__proto__":{"version":"x"}}';
    const tape = readText(`${HEAD}\n${line}\n{"k":"constructor"}\n{"k":"__proto__"}\n`);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    expect(tape.records[1]).not.toHaveProperty('version');
    expect(tape.records.slice(2)).toMatchObject([{ kind: 'constructor' }, { kind: '__proto__' }]);
  });

  it('are not more than a limit', () => {
    const tape = readTape(bytesOf(sample), { name: 't.tape.jsonl', newDigest, maxRecords: 3 });
    expect(tape.records).toHaveLength(3);
    expect(() => soundTape(tape)).toThrow(/^t\.tape\.jsonl:4: there are more than 3 records/);
  });

  it('cannot follow the end', () => {
    expect(() => soundTape(readText(`${sample}{"k":"future"}\n`))).toThrow(/lines after the end record/);
  });
});

describe('a gap', () => {
  it('leaves a tape usable, and is reported', () => {
    const tape = readText(`${HEAD}\n{"k":"gap","lost":3,"why":"disk full"}\n`);
    expect(tape.problems).toMatchObject([
      { kind: 'gap', line: 2, message: '3 records are missing here (disk full)' },
      { kind: 'truncated' },
    ]);
  });
});
