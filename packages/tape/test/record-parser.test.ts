import { describe, expect, it } from 'vitest';
import { parseRecord } from '../src/parse-record.js';
import { RecordParser } from '../src/record-parser.js';

const msg = (rest: string): string => `{"k":"msg","t":1,"s":"s1","x":"1"${rest}}`;

/** What is read, or the message of the error. */
function outcome(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    return String(error);
  }
}

describe('a parser that remembers how records looked', () => {
  it.each<[string, string[]]>([
    [
      'messages',
      [msg(',"from":"client","m":{"a":1}'), msg(',"from":"client","m":{"b":[2]}'), msg(',"from":"server","m":{}')],
    ],
    ['times', ['{"k":"x-","t":5,"s":"a","x":"1","end":"reset"}', '{"k":"x-","s":"b","x":"2","end":"reset"}']],
    [
      'a time elsewhere',
      ['{"k":"x-","s":"a","x":"1","t":5,"end":"reset"}', '{"k":"x-","s":"b","x":"2","t":7,"end":"reset"}'],
    ],
    [
      'a time twice',
      ['{"k":"x-","s":"a","x":"1","t":5,"end":"reset"}', '{"k":"x-","t":5,"s":"b","x":"2","t":5,"end":"reset"}'],
    ],
    [
      'a time twice, spelled otherwise',
      [
        '{"k":"x-","s":"a","x":"1","\\u0074":5,"end":"reset"}',
        '{"k":"x-","t":5,"s":"b","x":"2","\\u0074":5,"end":"reset"}',
      ],
    ],
    [
      'fields that look like a message',
      [
        '{"k":"http","s":"-","x":"1","from":"client","headers":{"a":"b","m":"c"}}',
        '{"k":"http","s":"-","x":"2","from":"client","headers":{"a":"b","m":"d"}}',
        '{"k":"http","s":"-","x":"3","from":"client","headers":{"a":"b"}}',
      ],
    ],
    [
      'framing that looks like a message',
      [
        msg(',"from":"server","sse":{"id":"1","m":"2"},"m":{"a":1}'),
        msg(',"from":"server","sse":{"id":"1","m":"3"},"m":{"a":2}'),
        msg(',"from":"server","sse":{"id":"1","m":{"a":2}}'),
      ],
    ],
    [
      'a message behind the end of a record',
      ['{"k":"x-","s":"a","x":"1","end":"reset"}', '{"k":"x-","s":"a","x":"1","end":"reset"},"m":{}}'],
    ],
    [
      'names and times that are spelled otherwise',
      [
        '{"k":"x-","t":5,"s":"a","x":"1","end":"reset"}',
        '{"k":"x-","t":05,"s":"a","x":"1","end":"reset"}',
        '{"k":"x-","t":-5,"s":"a","x":"1","end":"reset"}',
        '{"k":"x-","t":1.5,"s":"a","x":"1","end":"reset"}',
        '{"k":"x-","t":1e3,"s":"a","x":"1","end":"reset"}',
        '{"k":"x-","t":,"s":"a","x":"1","end":"reset"}',
        '{"k":"x-","t":5,"s":"ab","x":"1","end":"reset"}',
        '{"k":"x-","t":5,"s":"a","x":"1\\u0031","end":"reset"}',
        '{"k":"x-","t":5,"s":"a","x":"1\t","end":"reset"}',
        '{"k":"x-","t":5,"s":"a","x":"',
        '{"k":"x-","t":5,"s":"a","end":"reset"}',
        '{"k":"x-","t":5,"s":"a","x":"1","end":"reset"} ',
        '{"k":"x-","t":1234567890123456,"s":"a","x":"1","end":"reset"}',
      ],
    ],
    ['members behind the message', [msg(',"from":"client","m":{}'), msg(',"from":"client","m":{},"s":"s2"')]],
    [
      'messages that are broken',
      [msg(',"from":"client","m":{}'), msg(',"from":"client","m":{"a":'), msg(',"from":"client","m":')],
    ],
    ['a line that ends too early', [msg(',"from":"client","m":{}'), msg(',"from":"client","m":{}').slice(0, -1)]],
    ['a key twice in a message', [msg(',"from":"client","m":{}'), msg(',"from":"client","m":{"a":1,"a":2}')]],
    ['a sender that is none', [msg(',"from":"proxy","m":{}'), msg(',"from":"proxy","m":{}')]],
    ['kinds that are not known', ['{"k":"future","s":"a","x":"1"}', '{"k":"future","s":"b","x":"2"}']],
  ])('reads %s as one that does not', (_, lines) => {
    const parser = new RecordParser();
    for (const turn of [1, 2]) {
      for (const [index, line] of lines.entries()) {
        const plain = outcome(() => parseRecord(line, index + turn));
        expect({ line, read: outcome(() => parser.parse(line, index + turn)) }).toEqual({ line, read: plain });
      }
    }
  });
});
