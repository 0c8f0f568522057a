import { asObject, type Message, readMessage } from '@shadowcat/wire';
import { type MsgRecord, NO_SESSION, type Sender, type Tape, type TapeRecord } from './records.js';
import { canonicalParams, shapeOf } from './request-key.js';

/** One thing that happened on a tape, for people. */
export interface TimelineEntry {
  readonly line: number;
  readonly s: string;
  /** The exchange it belongs to. */
  readonly x: string | undefined;
  /** Milliseconds from the beginning of the recording; `undefined` on a tape without times. */
  readonly at: number | undefined;
  readonly from: Sender | 'proxy';
  readonly kind: 'request' | 'notification' | 'result' | 'error' | 'text' | 'end' | 'gap';
  /** `tools/call read_file`, `result`, `closed-by-client`, … */
  readonly label: string;
  /** What it says: JSON of a message, or text. */
  readonly content: string;
  /** Whether it is the first message of its exchange. */
  readonly first: boolean;
}

/** What happened, in the order of the tape: messages, other text, and how exchanges ended. */
export function timelineOf(tape: Tape): readonly TimelineEntry[] {
  const entries: TimelineEntry[] = [];
  const begun = new Set<string>();
  const timed = tape.records.some(({ t }) => t !== undefined);
  let now = 0;
  for (const record of tape.records) {
    now += (record.t ?? 0) / 1000;
    const told = tell(record);
    if (told === undefined) continue;
    const x = 'x' in record ? record.x : undefined;
    // A gap stands where it is found.
    const s = 's' in record ? record.s : (entries.at(-1)?.s ?? NO_SESSION);
    const name = `${s} ${x}`;
    const first = record.k === 'msg' && !begun.has(name);
    if (first) begun.add(name);
    entries.push({ line: record.line, s, x, at: timed ? now : undefined, first, ...told });
  }
  return entries;
}

type Told = Pick<TimelineEntry, 'from' | 'kind' | 'label' | 'content'>;

function tell(record: TapeRecord): Told | undefined {
  switch (record.k) {
    case 'msg':
      return tellMessage(record);
    case 'raw':
    case 'err':
    case 'note':
      return {
        from: record.from ?? (record.k === 'note' ? 'proxy' : 'server'),
        kind: 'text',
        label: record.k,
        content: record.text,
      };
    case 'x-':
      // An answer that is there says enough.
      if (record.end === 'answered') return undefined;
      return { from: 'proxy', kind: 'end', label: record.end, content: record.message ?? '' };
    case 'gap':
      return { from: 'proxy', kind: 'gap', label: `${record.lost} records are missing`, content: record.why };
    default:
      return undefined;
  }
}

function tellMessage({ from, text }: MsgRecord): Told {
  const message = readMessage(text);
  if (message === undefined) return { from, kind: 'text', label: 'no message', content: text };
  if (message.kind === 'response') {
    const failed = asObject(message.value['error']) !== undefined;
    return {
      from,
      kind: failed ? 'error' : 'result',
      label: failed ? 'error' : 'result',
      content: outcomeText(message),
    };
  }
  const { method = '' } = message;
  const target = message.kind === 'request' ? shapeOf(method, text).target : undefined;
  const label = target === undefined ? method : `${method} ${target}`;
  return { from, kind: message.kind, label, content: canonicalParams(message) };
}

function outcomeText({ value }: Message): string {
  return JSON.stringify(value['result'] ?? value['error'] ?? null);
}
