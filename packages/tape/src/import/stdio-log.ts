import {
  asObject,
  type Json,
  type JsonObject,
  parseMessages,
  type ReadMessages,
  skipValue,
  textAt,
} from '@shadowcat/wire';
import { MESSAGE_LIMITS } from '../parse-record.js';
import type { ImportedLine } from './imported.js';
import { senderOf } from './log-sender.js';

/** A line of a log: a message with who sent it, where it says so, or text. */
export interface LogLine extends ImportedLine {
  readonly read: ReadMessages | undefined;
  /** Whether it was a message, of which the log has the beginning and the end only. */
  readonly abridged?: boolean;
}

const MAX_BATCH = 10_000;
/** How many places on a line are tried for the beginning of a message. */
const MAX_TRIES = 8;
/** How many members of an object are looked at for one. */
const MAX_MEMBERS = 64;
// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals' colours begin with one
const COLOURS = /\u001b\[[0-9;]*m/g;
const TIME = /^\W{0,2}(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?/;

/**
 * The lines of a log of stdio traffic: JSON-RPC messages with whatever stands before and behind them (time, level, `Message from client:`,
 * `[server -> editor]`, `-->`, …), objects that hold a message as a member, and other text. Never throws.
 */
export function readStdioLog(text: string): LogLine[] {
  const lines: LogLine[] = [];
  let number = 0;
  let announced: LogLine | undefined;
  for (let at = 0, end = 0; at < text.length; at = end + 1) {
    const next = text.indexOf('\n', at);
    end = next < 0 ? text.length : next;
    number += 1;
    const shown = text.slice(at, end).replace(COLOURS, '').trim();
    const line = number === 1 ? shown.replace(/^\ufeff/, '') : shown;
    if (line === '') continue;
    const found = lineOf(line, `line ${number}`);
    if (announced !== undefined && found.read !== undefined && found.from === undefined) {
      lines[lines.length - 1] = { ...found, from: announced.from, at: found.at ?? announced.at };
      announced = undefined;
      continue;
    }
    announced = announces(found) ? { ...found, from: senderOf(line) } : undefined;
    lines.push(found);
  }
  return lines;
}

/** Whether the message that this line speaks of stands on the next one. */
function announces({ read, text }: LogLine): boolean {
  return read === undefined && text.endsWith(':') && ['client', 'server'].includes(senderOf(text) ?? '');
}

/** Claude Desktop leaves out the middle of long messages. */
const ABRIDGED = /\.{3}\[\d+ chars truncated\]\.{3}/;

function lineOf(line: string, where: string): LogLine {
  const at = timeOf(line);
  if (/Message from (client|server):/.test(line) && ABRIDGED.test(line))
    return { where, at, from: 'stderr', text: line, read: undefined, abridged: true };
  const found = messageIn(line);
  if (found === undefined) return { where, at, from: 'stderr', text: line, read: undefined };
  const { text, read, wrapper } = found;
  if (wrapper === undefined) return { where, at, from: senderOf(line.slice(0, found.from)), text, read };
  return { where, at: at ?? wrapper.at, from: wrapper.from, text, read };
}

interface Found {
  readonly from: number;
  readonly text: string;
  readonly read: ReadMessages;
  readonly wrapper?: { readonly at: number | undefined; readonly from: ImportedLine['from'] };
}

/** The first JSON value on the line that is a message, a batch, or an object that holds one. */
function messageIn(line: string): Found | undefined {
  if (!line.includes('jsonrpc')) return undefined;
  let from = line.search(/[[{]/);
  for (let tries = 0; from >= 0 && tries < MAX_TRIES; tries += 1) {
    const end = skipValue(line, from);
    const text = line.slice(from, end);
    const read = messagesOf(text);
    if (read !== undefined) return { from, text, read };
    const wrapped = text.startsWith('{') ? wrappedIn(text) : undefined;
    if (wrapped !== undefined) return { from, ...wrapped };
    const next = line.slice(from + 1).search(/[[{]/);
    from = next < 0 ? -1 : from + 1 + next;
  }
  return undefined;
}

function messagesOf(text: string): ReadMessages | undefined {
  if (!text.includes('"jsonrpc"')) return undefined;
  try {
    return parseMessages(text, { ...MESSAGE_LIMITS, batch: MAX_BATCH });
  } catch {
    return undefined;
  }
}

/** Logs with an object a line: the message is a member, as an object or as text, and others say who and when. */
function wrappedIn(text: string): Omit<Found, 'from'> | undefined {
  const value = objectOf(text);
  if (value === undefined) return undefined;
  for (const [key, member] of Object.entries(value).slice(0, MAX_MEMBERS)) {
    const own = typeof member === 'string' ? member : asObject(member) === undefined ? undefined : textAt(text, [key]);
    const read = own === undefined ? undefined : messagesOf(own);
    if (own !== undefined && read !== undefined) return { text: own, read, wrapper: aboutOf(value) };
  }
  return undefined;
}

function objectOf(text: string): JsonObject | undefined {
  try {
    return asObject(JSON.parse(text) as Json);
  } catch {
    return undefined;
  }
}

const SAID = ['direction', 'dir', 'from', 'sender', 'source', 'origin', 'type', 'stream'];
const WHEN = ['timestamp', 'time', 'ts', 'at', 'date'];

function aboutOf(value: JsonObject): NonNullable<Found['wrapper']> {
  const said = SAID.map((key) => value[key]).filter((word) => typeof word === 'string');
  const from = said.map((word) => senderOf(word as string)).find((sender) => sender !== undefined);
  const when = WHEN.map((key) => value[key]).find((one) => typeof one === 'string' || typeof one === 'number');
  return { from, at: typeof when === 'string' ? timeOf(when) : typeof when === 'number' ? millisOf(when) : undefined };
}

/** Seconds, or milliseconds, since 1970; anything else is no time. */
function millisOf(value: number): number | undefined {
  if (value > 1e8 && value < 1e10) return value * 1000;
  return value > 1e11 && value < 1e13 ? value : undefined;
}

/** The time at the beginning of a line. Without a zone it is taken as UTC: only what lies between two times counts. */
function timeOf(line: string): number | undefined {
  const [, day, clock, fraction = '0', zone = 'Z'] = TIME.exec(line) ?? [];
  if (day === undefined || clock === undefined) return undefined;
  const at = Date.parse(
    `${day}T${clock}.${fraction.slice(0, 3).padEnd(3, '0')}${zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2')}`,
  );
  return Number.isFinite(at) ? at : undefined;
}
