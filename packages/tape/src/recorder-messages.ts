import { type Frame, ProxyError } from '@shadowcat/kernel';
import { messageFields, textFields } from './lines.js';
import { MAX_LINE } from './parse-record.js';
import type { LateRecord, RecordContent } from './recorder-lanes.js';
import type { Sender } from './records.js';
import type { Redactor } from './redact.js';

/** What a message's record has beside the message. */
export interface MessageAbout {
  readonly from: Sender;
  readonly batch?: boolean;
  readonly sse?: Frame['sse'];
}

interface Redacting {
  readonly redactor: Redactor;
  readonly redactLater?: (text: string) => Promise<string> | undefined;
}

/** The record of a message, without its secrets; large ones are still being made. */
export function messageRecord(text: string, about: MessageAbout, redacting: Redacting): RecordContent | LateRecord {
  const { redactor, redactLater } = redacting;
  const later = redactLater?.(text);
  if (later === undefined) return contentOf(redactedOr(text, redactor), text, { about, redactor });
  const content = (redacted: string | undefined): RecordContent => contentOf(redacted, text, { about, redactor });
  const made = later.then(content, (error: unknown) => {
    const { code } = ProxyError.from(error);
    if (code === 'parse_error') return content(undefined);
    if (code !== 'cancelled') return content(redactedOr(text, redactor));
    return asText('', `not recorded: redacting its ${text.length} characters took too long`, about);
  });
  return { made, size: text.length };
}

function contentOf(
  redacted: string | undefined,
  text: string,
  { about, redactor }: { readonly about: MessageAbout; readonly redactor: Redactor },
): RecordContent {
  if (redacted === undefined) return asText(redactor.text(text), 'too deep to redact', about);
  if (isTooLong(redacted))
    return asText('', `not recorded: its ${text.length} characters are too many for a line`, about);
  return { kind: 'msg', fields: messageFields(redacted, about, redactor) };
}

/** What a record has beside its message, and the other spelling of what a text record holds, at most. */
const BESIDE = 1_048_576;
const encoder = new TextEncoder();

/** Whether a reader would refuse the line. */
function isTooLong(text: string): boolean {
  // A character has three bytes at most.
  return text.length * 3 > MAX_LINE - BESIDE && encoder.encode(text).length > MAX_LINE - BESIDE;
}

/** `undefined`: nested too deep to be walked. */
export function redactedOr(text: string, redactor: Redactor): string | undefined {
  try {
    return redactor.json(text);
  } catch {
    return undefined;
  }
}

function asText(text: string, why: string, { from }: MessageAbout): RecordContent {
  return { kind: 'raw', fields: textFields(text, { from, why }) };
}
