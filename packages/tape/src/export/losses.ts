import type { Tape, TapeRecord } from '../records.js';
import { timesOf } from './tape-times.js';

/** `html` is the page of `tape show --html`, which this package does not make. */
export type ExportFormat = 'har' | 'otlp' | 'html' | 'mermaid';

/** What a tape can hold that a format may have no place for: how it is counted, and called. */
const CONTENTS = {
  content: { of: (record) => record.k === 'msg', one: 'the content of 1 message', many: 'the contents of # messages' },
  head: { of: (record) => record.k === 'http', one: '1 HTTP head', many: '# HTTP heads' },
  event: {
    of: (record) => (record.k === 'msg' || record.k === 'sse') && record.sse !== undefined,
    one: 'the id and kind of 1 event',
    many: 'the ids and kinds of # events',
  },
  loose: {
    of: (record) => record.k === 'raw' && record.x === undefined,
    one: '1 line that is no message',
    many: '# lines that are no messages',
  },
  raw: { of: (record) => record.k === 'raw', one: '1 text that is no message', many: '# texts that are no messages' },
  err: { of: (record) => record.k === 'err', one: '1 line of stderr', many: '# lines of stderr' },
  note: { of: (record) => record.k === 'note', one: '1 note of the proxy', many: '# notes of the proxy' },
  gap: { of: (record) => record.k === 'gap', one: '1 gap', many: '# gaps' },
  other: { of: (record) => record.k === 'other', one: '1 record of another kind', many: '# records of other kinds' },
} as const satisfies Readonly<
  Record<string, { of: (record: TapeRecord) => boolean; readonly one: string; readonly many: string }>
>;

interface Poverty {
  readonly name: string;
  readonly lacks: readonly (keyof typeof CONTENTS)[];
  /** What is said of a tape without a clock. */
  readonly clock?: string;
}

const FORMATS: Readonly<Record<ExportFormat, Poverty>> = {
  har: {
    name: 'HAR',
    lacks: ['loose', 'err', 'note', 'gap', 'other'],
    clock: 'every entry begins at 2000-01-01 and takes no time',
  },
  otlp: {
    name: 'OTLP',
    lacks: ['content', 'event', 'raw', 'err', 'note', 'gap', 'other'],
    clock: 'spans begin at 2000-01-01, and their times keep the order and nothing else',
  },
  html: { name: 'the page', lacks: ['head', 'event', 'other'] },
  mermaid: { name: 'the diagram', lacks: ['content', 'head', 'event', 'other'] },
};

/** What an export of these tapes leaves out, makes up, or holds that nobody may expect, a line each. */
export function exportLosses(tapes: readonly Tape[], format: ExportFormat): readonly string[] {
  const { name, lacks, clock } = FORMATS[format];
  const lost = lacks.flatMap((what) => {
    const { of, one, many } = CONTENTS[what];
    const count = tapes.reduce((sum, { records }) => sum + records.filter(of).length, 0);
    return count === 0 ? [] : [count === 1 ? one : many.replace('#', String(count))];
  });
  const lines = lost.length === 0 ? [] : [`${name} has no place for ${listed(lost)}`];
  const timeless = tapes.filter((tape) => !timesOf(tape).timed).map((tape) => tape.name);
  if (clock !== undefined && timeless.length > 0)
    lines.push(`${listed(timeless)} ${timeless.length === 1 ? 'has' : 'have'} no clock: ${clock}`);
  const open = tapes.filter(({ head }) => head.redaction?.policy === 'none').map((tape) => tape.name);
  if (open.length > 0)
    lines.push(
      `${listed(open)} ${open.length === 1 ? 'was' : 'were'} recorded without redaction: secrets that are on ${open.length === 1 ? 'it' : 'them'} are in this file too`,
    );
  return lines;
}

function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
