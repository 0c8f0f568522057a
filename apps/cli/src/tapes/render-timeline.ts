import type { TimelineEntry } from '@shadowcat/tape';
import { printable, seconds } from './render.js';

const WIDTH = 100;
const ARROWS: Readonly<Record<TimelineEntry['from'], string>> = { client: '→', server: '←', proxy: '·' };

/** Every message of a tape, a line each: → from the client, ← from the server; what belongs to an exchange is indented. */
export function timelineText(entries: readonly TimelineEntry[]): string {
  const width = String(entries.at(-1)?.line ?? 0).length;
  let lane: string | undefined;
  let out = '';
  for (const entry of entries) {
    if (entry.s !== lane) out += `\nsession ${printable(entry.s)}\n`;
    lane = entry.s;
    out += `${entryLine(entry, width)}\n`;
  }
  return out;
}

function entryLine({ line, at, from, first, label, content }: TimelineEntry, width: number): string {
  const time = at === undefined ? '' : `${`+${seconds(at)}`.padStart(9)}  `;
  const start = `${String(line).padStart(width)}  ${time}${ARROWS[from]} ${first ? '' : '  '}${label}`;
  const space = Math.max(20, WIDTH - start.length);
  const said = content.length > space ? `${content.slice(0, space)}…` : content;
  return printable(said === '' ? start : `${start}  ${said}`);
}
