import { describe, expect, it } from 'vitest';
import { parseOverlay } from '../src/overlay/read-overlay.js';

const read = (text: string) => parseOverlay('o.yaml', text);

describe('an overlay file', () => {
  it('holds every kind of rule, each with its place', () => {
    const file = read(`seed: 7
ignore:
  - { method: tools/call, target: read_file, at: ["/arguments/path", "/arguments/a~1b/*"] }
normalise:
  - as: uuid
  - { as: timestamp, at: /arguments/when }
bind: { at: /arguments/id }
replace:
  - { method: tools/call, at: /result/n, with: 9007199254740993 }
  - { at: /result/o, with: { a: [1.50, "x", null, true] } }
answer: { method: logging/setLevel, with: {} }
latency: { delay: 1.5s, jitter: 20ms }
faults:
  - { fault: error, nth: [1, 3], code: -32050, message: no }
  - { fault: close, event: 2, retry-after: 100ms, probability: 0.25 }
expect:
  - { method: tools/call, times: 2 }
  - { at-least: 3 }
  - { at-most: 4 }
  - { method: ping }
`);
    expect(file).toEqual({
      overlay: {
        seed: 7,
        ignore: [
          {
            where: 'o.yaml:3:5',
            method: 'tools/call',
            target: 'read_file',
            at: [
              ['arguments', 'path'],
              ['arguments', 'a/b', '*'],
            ],
          },
        ],
        normalise: [
          { where: 'o.yaml:5:5', as: 'uuid' },
          { where: 'o.yaml:6:5', as: 'timestamp', at: [['arguments', 'when']] },
        ],
        bind: [{ where: 'o.yaml:7:7', at: [['arguments', 'id']] }],
        replace: [
          { where: 'o.yaml:9:5', method: 'tools/call', at: ['result', 'n'], json: '9007199254740993' },
          { where: 'o.yaml:10:5', at: ['result', 'o'], json: '{"a":[1.50,"x",null,true]}' },
        ],
        answer: [{ where: 'o.yaml:11:9', method: 'logging/setLevel', json: '{}' }],
        latency: [{ where: 'o.yaml:12:10', ms: 1500, jitterMs: 20 }],
        faults: [
          { where: 'o.yaml:14:5', fault: 'error', nth: [1, 3], code: -32050, message: 'no', event: 1 },
          { where: 'o.yaml:15:5', fault: 'close', event: 2, retryMs: 100, probability: 0.25 },
        ],
        expect: [
          { where: 'o.yaml:17:5', method: 'tools/call', min: 2, max: 2 },
          { where: 'o.yaml:18:5', min: 3, max: Number.POSITIVE_INFINITY },
          { where: 'o.yaml:19:5', min: 0, max: 4 },
          { where: 'o.yaml:20:5', method: 'ping', min: 1, max: Number.POSITIVE_INFINITY },
        ],
      },
    });
  });

  it('may be empty', () => {
    expect(read('# nothing yet\n')).toMatchObject({ overlay: { ignore: [], faults: [] } });
  });

  it.each([
    ['ignored: []', ['o.yaml:1:1: overlay: unknown key "ignored" (did you mean ignore?)']],
    [
      'ignore: [{ at: arguments }]',
      [/^o\.yaml:1:16: ignore\.at: "arguments" is not a pointer: write \/arguments\/path/],
    ],
    ['ignore: [{ method: x }]', [/^o\.yaml:1:10: ignore: "at" is missing: places in the parameters/]],
    [
      'faults: [{ fault: explode }]',
      [/^o\.yaml:1:19: faults\.fault: "explode" is not one of the choices: write error, /],
    ],
    [
      'faults: [{ fault: hang, probability: 2 }]',
      [/probability: "2" is not a probability: write a number from 0 to 1/],
    ],
    ['answer: [{ with: {} }]', [/^o\.yaml:1:10: answer: "method" is missing/]],
    [
      'faults: [{ fault: hang, code: -1, event: 2 }]',
      [
        /^o\.yaml:1:10: faults: "event" does nothing for hang: it is for disconnect, close, drop, reorder$/,
        /^o\.yaml:1:10: faults: "code" does nothing for hang: it is for error$/,
      ],
    ],
    ['expect: [{ times: 1, at-most: 2 }]', [/^o\.yaml:1:10: expect: "times" says it all/]],
    ['expect: [{ at-least: 3, at-most: 2 }]', [/^o\.yaml:1:10: expect: "at-least" 3 is more than "at-most" 2$/]],
    ['latency: [{ delay: 5 }]', [/^o\.yaml:1:20: latency\.delay: "5" is not a duration: write it with its unit/]],
    ['replace: [{ at: /result, with: *a }]', [/^o\.yaml:/]],
    ['ignore: [', [/^o\.yaml:1:\d+: ignore: not valid YAML/]],
    ['- x', [/^o\.yaml:1:1: overlay: expected an overlay, found a list/]],
    ['seed: 1\nseed: 2', [/^o\.yaml:2:1: seed: this key is there twice: keep one/]],
  ])('that is wrong is told in a line: %j', (text, problems) => {
    expect(read(text)).toEqual({
      problems: problems.map((line) => (typeof line === 'string' ? line : expect.stringMatching(line))),
    });
  });
});
