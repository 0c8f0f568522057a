import { ProxyError } from '@shadowcat/kernel';
import { spliceMessage } from '@shadowcat/wire';
import { fromBase64, toBase64 } from './base64.js';
import { type JsonNode, type JsonObjectNode, jsonTree, memberOf, stringOf } from './json-tree.js';
import type { BlobPointer, MsgRecord, Tape } from './records.js';
import type { NewDigest } from './seal.js';

/** Strings from this length on, as JSON text, are kept beside the tape; base64 with a MIME type from the second. */
const BLOB_FROM = { text: 16_384, base64: 4096 } as const;
/** The feature of a tape that has some: a reader without it would serve empty strings. */
export const BLOBS_FEATURE = 'blobs';

/** What is kept beside a tape. Its name is its content's: equal values of all tapes are one file. */
export interface TapeBlob {
  /** Relative to the tape: `blobs/3f/a2….png`. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Where the bytes of a pointer lie, relative to the tape. */
export function blobPath({ sha, type }: BlobPointer): string {
  return `blobs/${sha.slice(0, 2)}/${sha.slice(2)}.${type}`;
}

/** A message's text with its large strings taken out, and what they were. */
export function takeBlobs(
  text: string,
  newDigest: NewDigest,
): { readonly text: string; readonly pointers: readonly BlobPointer[]; readonly blobs: readonly TapeBlob[] } {
  if (text.length < BLOB_FROM.base64) return { text, pointers: [], blobs: [] };
  const found: Found[] = [];
  findLarge(jsonTree(text), { text, path: [], found });
  const pointers: BlobPointer[] = [];
  const blobs: TapeBlob[] = [];
  for (const { path, node, mime } of found) {
    const { as, bytes, type } = contentOf(text, node, mime);
    const digest = newDigest();
    digest.update(bytes);
    const pointer: BlobPointer = { at: pointerOf(path), sha: digest.with(''), type, as };
    pointers.push(pointer);
    blobs.push({ path: blobPath(pointer), bytes });
  }
  const edits = found.map(({ path }) => ({ path, json: '""' }));
  return { text: spliceMessage(text, edits), pointers, blobs };
}

/**
 * The tape with its blobs back in the messages. `bytes` gives what lies at a path (`undefined`: nothing). Throws
 * `tape_invalid` with file and line for one that is missing or is not what it was.
 */
export function withBlobs(tape: Tape, bytes: (path: string) => Uint8Array | undefined, newDigest: NewDigest): Tape {
  const put = (record: MsgRecord): MsgRecord => {
    const { blobs = [], ...rest } = record;
    const edits = blobs.map((pointer) => {
      const path = blobPath(pointer);
      const problem = `${tape.name}:${record.line}: the blob ${path}`;
      const content = bytes(path);
      if (content === undefined) throw new ProxyError('tape_invalid', `${problem} is missing beside the tape`);
      const digest = newDigest();
      digest.update(content);
      if (digest.with('') !== pointer.sha) throw new ProxyError('tape_invalid', `${problem} was changed`);
      return { path: stepsOf(pointer.at), json: jsonOf(content, pointer.as) };
    });
    return { ...rest, text: spliceMessage(record.text, edits) };
  };
  return {
    ...tape,
    records: tape.records.map((record) => (record.k === 'msg' && record.blobs !== undefined ? put(record) : record)),
  };
}

/** All pointers of a tape, each path once. */
export function blobPaths(tape: Tape): ReadonlySet<string> {
  const paths = new Set<string>();
  for (const record of tape.records) {
    if (record.k === 'msg') for (const pointer of record.blobs ?? []) paths.add(blobPath(pointer));
  }
  return paths;
}

interface Found {
  readonly path: readonly string[];
  readonly node: JsonNode;
  readonly mime: string | undefined;
}

interface Search {
  readonly text: string;
  readonly path: readonly string[];
  readonly found: Found[];
}

function findLarge(node: JsonNode, search: Search, parent?: JsonObjectNode): void {
  if (node.end - node.start < BLOB_FROM.base64) return;
  const { text, path, found } = search;
  if (node.kind === 'object') {
    for (const { key, value } of node.members) findLarge(value, { text, found, path: [...path, key] }, node);
  } else if (node.kind === 'array') {
    for (const [index, item] of node.items.entries())
      findLarge(item, { text, found, path: [...path, String(index)] }, undefined);
  } else if (node.kind === 'string') {
    const type = memberOf(parent, 'mimeType');
    const mime = type?.kind === 'string' ? stringOf(text, type) : undefined;
    const key = path.at(-1);
    const isData = mime !== undefined && (key === 'data' || key === 'blob');
    if (isData || node.end - node.start >= BLOB_FROM.text) found.push({ path, node, mime: isData ? mime : undefined });
  }
}

/** As real bytes where the JSON text can be made of them again, else as the JSON text itself. */
function contentOf(
  text: string,
  node: JsonNode,
  mime: string | undefined,
): Omit<BlobPointer, 'at' | 'sha'> & TapeBytes {
  const json = text.slice(node.start, node.end);
  const value = stringOf(text, node);
  if (mime !== undefined) {
    const bytes = fromBase64(value);
    if (bytes !== undefined && JSON.stringify(toBase64(bytes)) === json)
      return { as: 'base64', bytes, type: typeOf(mime) };
  }
  if (JSON.stringify(value) === json && value.isWellFormed())
    return { as: 'text', bytes: encoder.encode(value), type: 'txt' };
  return { as: 'json', bytes: encoder.encode(json), type: 'json' };
}

interface TapeBytes {
  readonly bytes: Uint8Array;
}

function jsonOf(bytes: Uint8Array, as: BlobPointer['as']): string {
  if (as === 'base64') return JSON.stringify(toBase64(bytes));
  const text = decoder.decode(bytes);
  return as === 'text' ? JSON.stringify(text) : text;
}

/** The end of a file's name for a MIME type: its subtype, where that is a plain word. */
function typeOf(mime: string): string {
  const subtype = /^[\w.+-]+\/(?:x-)?([a-z0-9]{1,8})(?:[+;].*)?$/.exec(mime.toLowerCase())?.[1];
  return subtype === undefined ? 'bin' : subtype;
}

function pointerOf(path: readonly string[]): string {
  return path.map((step) => `/${step.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function stepsOf(pointer: string): readonly string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}
