import type { Frame, FrameParts, SseFields } from '@shadowcat/kernel';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

type MutableFields = { -readonly [key in keyof SseFields]: SseFields[key] };

/**
 * Reads the lines of one complete block (WHATWG HTML, 9.2.6). Its data, joined by LF, is the frame's text; a block without
 * data, or with empty data, has none. `marked`: the block begins with a byte order mark, which is no part of it.
 */
export function parseSseBlock(bytes: Uint8Array, marked: boolean): FrameParts {
  const block = decoder.decode(marked ? bytes.subarray(3) : bytes);
  const fields: MutableFields = {};
  let data: string | undefined;
  let any = false;
  for (let at = 0; at < block.length; ) {
    const end = lineEnd(block, at);
    if (end > at) {
      const [name, value] = splitField(block.slice(at, end));
      if (name === 'data') data = data === undefined ? value : `${data}\n${value}`;
      else any = setField(fields, name, value) || any;
    }
    at = end + (block.startsWith('\r\n', end) ? 2 : 1);
  }
  const text = data === undefined || data === '' ? null : data;
  return any ? { bytes, text, sse: fields } : { bytes, text };
}

function lineEnd(block: string, start: number): number {
  const lf = block.indexOf('\n', start);
  const end = lf < 0 ? block.length : lf;
  const cr = block.indexOf('\r', start);
  return cr >= 0 && cr < end ? cr : end;
}

/** A comment's name is the empty string. */
function splitField(line: string): readonly [name: string, value: string] {
  const colon = line.indexOf(':');
  if (colon < 0) return [line, ''];
  const space = colon > 0 && line.startsWith(' ', colon + 1) ? 1 : 0;
  return [line.slice(0, colon), line.slice(colon + 1 + space)];
}

/** Whether the field means anything. */
function setField(fields: MutableFields, name: string, value: string): boolean {
  switch (name) {
    case '':
      fields.comment = fields.comment === undefined ? value : `${fields.comment}\n${value}`;
      return true;
    case 'event':
      fields.event = value;
      return true;
    case 'id':
      if (value.includes('\0')) return false;
      fields.id = value;
      return true;
    case 'retry':
      if (!isDigits(value)) return false;
      fields.retry = Number(value);
      return true;
    default:
      return false;
  }
}

function isDigits(value: string): boolean {
  for (let at = 0; at < value.length; at += 1) {
    const code = value.charCodeAt(at);
    if (code < 0x30 || code > 0x39) return false;
  }
  return value.length > 0;
}

/**
 * The bytes of an event or comment: the frame's fields, then its text as `data`. A frame with an `id` or `event` and no text
 * gets empty data, as a priming event has (2025-11-25, Transports); a comment alone stays a comment.
 */
export function sseBytes(frame: Frame): Uint8Array {
  const { text } = frame;
  const fields = frame.sse;
  if (fields === undefined) return text === undefined ? NOTHING : encoder.encode(`${dataLines(text)}\n`);
  let out = '';
  if (fields.comment !== undefined) out += lines(':', fields.comment);
  if (fields.event !== undefined) out += `event: ${oneLineOf(fields.event)}\n`;
  if (fields.id !== undefined) out += `id: ${oneLineOf(fields.id)}\n`;
  if (fields.retry !== undefined) out += `retry: ${fields.retry}\n`;
  if (text !== undefined) out += dataLines(text);
  else if (fields.id !== undefined || fields.event !== undefined) out += 'data: \n';
  return out === '' ? NOTHING : encoder.encode(`${out}\n`);
}

const NOTHING = new Uint8Array(0);

function dataLines(text: string): string {
  return text.includes('\n') || text.includes('\r') ? lines('data: ', text) : `data: ${text}\n`;
}

function lines(prefix: string, text: string): string {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => `${prefix}${line}\n`)
    .join('');
}

/** A field that ends a line early would let its value forge others. */
function oneLineOf(value: string): string {
  return value.replace(/[\r\n\0]/g, '');
}
