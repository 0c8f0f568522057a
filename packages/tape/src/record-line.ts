import type { TapeRecord } from './records.js';

/**
 * A record as its line, without line break: `k` first, `t` and the lane next, the message last and verbatim. What a record
 * does not have is not written.
 */
export function recordLine(record: TapeRecord): string {
  if (record.k === 'other') return record.text;
  const { k, line: _, t, extra, ...rest } = record;
  const times = t === undefined ? {} : { t };
  if (record.k === 'msg') {
    const { text, ...fields } = rest as Omit<typeof record, 'k' | 'line' | 't' | 'extra'>;
    return `${JSON.stringify({ k, ...times, ...fields, ...extra }).slice(0, -1)},"m":${text}}`;
  }
  return JSON.stringify({ k, ...times, ...rest, ...extra });
}
