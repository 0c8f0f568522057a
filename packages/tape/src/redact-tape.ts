import { type GoldenTape, goldenOf } from './golden.js';
import { parseRecord } from './parse-record.js';
import { recordLine } from './record-line.js';
import type { Tape } from './records.js';
import type { Redactor } from './redact.js';
import { type NewDigest, Seal } from './seal.js';

export interface RedactTapeOptions {
  readonly redactor: Redactor;
  /** The fingerprint of the redactor's key, for the head. */
  readonly keyId: string;
  readonly newDigest: NewDigest;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A record's line, or what is there instead of one, without its secrets. */
export function redactLine(line: string, redactor: Redactor): string {
  try {
    return redactor.json(line);
  } catch {
    return redactor.text(line);
  }
}

/**
 * A sound capture without the secrets that are still in it, sealed again: lines without secrets, checkpoints apart, are the same
 * bytes. `undefined` when there is nothing to hide.
 */
export function redactCapture(bytes: Uint8Array, tape: Tape, options: RedactTapeOptions): Uint8Array | undefined {
  const lines = decoder.decode(bytes).split('\n').slice(0, -1);
  const redacted = lines.map((line) => redactLine(line, options.redactor));
  if (redacted.every((line, index) => line === lines[index])) return undefined;
  redacted[0] = withPolicy(redacted[0] ?? '', options);
  const seal = new Seal(options.newDigest);
  const sealed = tape.records.map((record, index) => {
    let line = redacted[index] ?? '';
    if (record.k === 'ckpt') {
      line = seal.checkpoint();
      seal.restart();
    } else if (record.k === 'end') {
      line = seal.end(record.lost, record.recovered === true);
    }
    const written = encoder.encode(`${line}\n`);
    seal.wrote(written, 1, 0);
    return written;
  });
  return concatenated(sealed);
}

/** The same of a golden tape, whose blobs are in its messages. */
export function redactGolden(tape: Tape, options: RedactTapeOptions): GoldenTape | undefined {
  const lines = tape.records.map(recordLine);
  const redacted = lines.map((line) => redactLine(line, options.redactor));
  if (redacted.every((line, index) => line === lines[index])) return undefined;
  const redaction = { policy: options.redactor.policy, key: options.keyId };
  const records = redacted.map((line, index) => parseRecord(line, index + 1));
  const head = { ...tape.head, redaction };
  const times = tape.records.some(({ t }) => t !== undefined);
  return goldenOf({ ...tape, head, records: [head, ...records.slice(1)] }, { newDigest: options.newDigest, times });
}

/** The head names the rules and the key. */
function withPolicy(head: string, { redactor, keyId }: RedactTapeOptions): string {
  const fields = JSON.parse(head) as Record<string, unknown>;
  return JSON.stringify({ ...fields, redaction: { policy: redactor.policy, key: keyId } });
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
