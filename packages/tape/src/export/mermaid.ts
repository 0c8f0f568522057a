import { readMessage } from '@shadowcat/wire';
import type { MsgRecord, Tape } from '../records.js';
import { type TimelineEntry, timelineOf } from '../timeline.js';
import { exportedTapes, laneTitle, sessionsOf } from './lane-names.js';

/** Longer texts make a diagram too wide to read. */
const MAX_TEXT = 80;
/** How many characters Mermaid draws, where nobody configured `maxTextSize`. */
export const MERMAID_LIMIT = 50_000;

/**
 * Tapes as one Mermaid sequence diagram, in pieces of text: session after session, a line for each message. Who watched, the
 * proxy, is there when it did something itself.
 */
export function* mermaidOf(tapes: readonly Tape[]): Generator<string> {
  const entries = new Map(tapes.map((tape) => [tape, timelineOf(tape)] as const));
  const withProxy = [...entries.values()].some((of) => of.some(isProxys));
  yield `sequenceDiagram\n  participant C as client\n${withProxy ? '  participant P as proxy\n' : ''}  participant S as server\n`;
  for (const { tape, laneName } of exportedTapes(tapes)) {
    const sessions = sessionsOf(tape);
    if (tapes.length > 1) yield `  Note over C,S: ${escaped(tape.name)}\n`;
    const byLine = new Map(tape.records.flatMap((record) => (record.k === 'msg' ? [[record.line, record]] : [])));
    for (const [s, own] of Map.groupBy(entries.get(tape) ?? [], (entry) => entry.s)) {
      yield `  Note over C,S: ${escaped(laneTitle(s, laneName(s), sessions.get(s)))}\n`;
      const asked = new Map<string, string>();
      for (const entry of own) yield `  ${lineOf(entry, byLine.get(entry.line), asked)}\n`;
    }
  }
}

/** What the proxy did itself: a note, or an error of its own, which has a message. */
function isProxys({ from, kind, content }: TimelineEntry): boolean {
  return from === 'proxy' && (kind === 'text' || (kind === 'end' && content !== ''));
}

/** `asked`: what was asked and is not answered yet. */
function lineOf(entry: TimelineEntry, record: MsgRecord | undefined, asked: Map<string, string>): string {
  const { from, kind, label, content, x } = entry;
  const [sender, receiver] = from === 'client' ? ['C', 'S'] : ['S', 'C'];
  const idText = record === undefined ? undefined : readMessage(record.text)?.idText;
  switch (kind) {
    case 'request':
      asked.set(`${from} ${idText}`, label);
      return `${sender}->>${receiver}: ${escaped(label)}`;
    case 'notification':
      return `${sender}-)${receiver}: ${escaped(label)}`;
    case 'result':
    case 'error': {
      const name = `${from === 'client' ? 'server' : 'client'} ${idText}`;
      const what = asked.get(name);
      asked.delete(name);
      const failed = kind === 'error' ? 'x' : '>>';
      const text = kind === 'error' ? `error ${errorText(content)}` : 'result';
      return `${sender}--${failed}${receiver}: ${escaped(what === undefined ? text : `${text} (${what})`)}`;
    }
    case 'text':
      return `Note ${from === 'client' ? 'left of C' : from === 'proxy' ? 'over P' : 'right of S'}: ${escaped(`${label} ${content}`)}`;
    case 'gap':
      return `Note over C,S: ${escaped(`${label} (${content})`)}`;
    case 'end':
      if (isProxys(entry)) return `P--xC: ${escaped(`${label} ${content}`)}`;
      return `Note over C,S: ${escaped(`exchange ${x} ended, ${label}`)}`;
  }
}

function errorText(content: string): string {
  const error = JSON.parse(content) as { readonly code?: unknown; readonly message?: unknown } | null;
  return [error?.code, error?.message].filter((it) => typeof it === 'number' || typeof it === 'string').join(' ');
}

/** What is neither letter, digit nor harmless is written by its number, which Mermaid's own syntax has for it. */
function escaped(text: string): string {
  const line = text.replaceAll(/[\p{C}\p{Z}]+/gu, ' ').trim();
  const characters = Array.from(line);
  const shown = characters.length > MAX_TEXT ? [...characters.slice(0, MAX_TEXT), '…'] : characters;
  return shown
    .map((character) => (/[\p{L}\p{N} _./,()'=*@!?~-]/u.test(character) ? character : `#${character.codePointAt(0)};`))
    .join('');
}
