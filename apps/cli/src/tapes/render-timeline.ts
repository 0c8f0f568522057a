import type { TimelineEntry } from '@shadowcat/tape';
import { cutTo, widthOf } from '../text-table.js';
import { printable, seconds } from './render.js';

/** Of what a message says, so much is shown however narrow the terminal is. */
const LEAST = 20;
const ARROWS: Readonly<Record<TimelineEntry['from'], string>> = { client: '→', server: '←', proxy: '·' };

/**
 * Every message of a tape, a line each: → from the client, ← from the server; what belongs to an exchange is indented. Lines take
 * no more than `columns`, if that leaves room to say anything.
 */
export function timelineText(entries: readonly TimelineEntry[], columns: number): string {
  const width = String(entries.at(-1)?.line ?? 0).length;
  let lane: string | undefined;
  let out = '';
  for (const entry of entries) {
    if (entry.s !== lane) out += `\nsession ${printable(entry.s)}\n`;
    lane = entry.s;
    out += `${entryLine(entry, { width, columns })}\n`;
  }
  return out;
}

interface Room {
  /** Of line numbers. */
  readonly width: number;
  readonly columns: number;
}

function entryLine({ line, at, from, first, label, content }: TimelineEntry, { width, columns }: Room): string {
  const time = at === undefined ? '' : `${`+${seconds(at)}`.padStart(9)}  `;
  const start = `${String(line).padStart(width)}  ${time}${ARROWS[from]} ${first ? '' : '  '}${label}`;
  const shown = printable(start);
  // All of a long content would be looked at for nothing.
  const said = cutTo(printable(content.slice(0, columns + LEAST)), Math.max(LEAST, columns - widthOf(shown) - 2));
  return said === '' ? shown : `${shown}  ${said}`;
}
