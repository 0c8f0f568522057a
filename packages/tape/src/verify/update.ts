import { spliceMessage } from '@shadowcat/wire';
import type { TapeBlob } from '../blobs.js';
import { goldenOf } from '../golden.js';
import { recordLine } from '../record-line.js';
import type { Tape, TapeRecord } from '../records.js';
import { type NewDigest, Seal } from '../seal.js';
import type { ExchangeResult } from './judge.js';

/** A tape with new answers, to be written. */
export interface UpdatedTape {
  /** All lines with their ends. */
  readonly lines: readonly string[];
  readonly blobs: readonly TapeBlob[];
  /** Numbers of the lines with another answer. */
  readonly changed: readonly number[];
}

interface UpdateParts {
  readonly source: readonly string[];
  readonly newDigest: NewDigest;
  readonly keyId: string;
}

/**
 * The tape with the live answers in the place of those that differ; nothing else changes but digests. A golden tape stays one.
 * The tape must hold its blobs. `source`: its lines as they stand in the file. `keyId`: of the key that hid what is hidden in the
 * new answers. `undefined`: there is nothing to change.
 */
export function updatedTape(
  tape: Tape,
  results: readonly ExchangeResult[],
  { source, newDigest, keyId }: UpdateParts,
): UpdatedTape | undefined {
  const answers = new Map<number, string>();
  for (const { file, lineNumber, recording, update } of results) {
    const id = recording?.answer?.idText;
    if (file !== tape.name || update === undefined) continue;
    answers.set(lineNumber, id === undefined ? update : spliceMessage(update, [{ path: ['id'], json: id }]));
  }
  const records = tape.records.map((record): TapeRecord => {
    const text = record.k === 'msg' ? answers.get(record.line) : undefined;
    return text === undefined || record.k !== 'msg' ? record : { ...record, text: text.replaceAll(/[\r\n]+/g, ' ') };
  });
  if (answers.size === 0) return undefined;
  const changed = [...answers.keys()].sort((a, b) => a - b);
  if (tape.head.form === 'golden') {
    const { lines, blobs } = goldenOf({ ...tape, records }, { newDigest, keyId });
    return { lines, blobs, changed };
  }
  return { lines: sealedLines(records, { source, answers, newDigest }), blobs: [], changed };
}

const encoder = new TextEncoder();

interface Sealing {
  readonly source: readonly string[];
  readonly answers: ReadonlyMap<number, string>;
  readonly newDigest: NewDigest;
}

/** The lines of a capture, with checkpoints where they were. */
function sealedLines(records: readonly TapeRecord[], { source, answers, newDigest }: Sealing): string[] {
  const seal = new Seal(newDigest);
  return records.map((record) => {
    const old = answers.has(record.line) ? undefined : source[record.line - 1];
    const line = `${sealed(record, seal) ?? old ?? recordLine(record)}\n`;
    if (record.k === 'ckpt') seal.restart();
    seal.wrote(encoder.encode(line), 1, 0);
    return line;
  });
}

function sealed(record: TapeRecord, seal: Seal): string | undefined {
  if (record.k === 'ckpt') return seal.checkpoint();
  return record.k === 'end' ? seal.end(record.lost, record.recovered === true) : undefined;
}
