import { readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as zlib from 'node:zlib';
import { ProxyError } from '@shadowcat/kernel';
import {
  createRedactor,
  detectFormat,
  goldenOf,
  type ImportFormat,
  importTraffic,
  type RedactionOptions,
  readTape,
  type TapeBlob,
} from '@shadowcat/tape';
import { saveBlobs, writeWhole } from './blob-files.js';
import { newDigest } from './digest.js';
import type { TapeKey } from './tape-key.js';

/** What is read of a file, also when it is compressed, and the longest body in it, in bytes. */
const MAX_FILE = 268_435_456;
const MAX_BODY = 33_554_432;

export interface ImportFileOptions {
  /** Default: told from how the file begins. */
  readonly from?: ImportFormat | undefined;
  /** The endpoint that is meant, when the file has several. */
  readonly url?: string | undefined;
  /** Where the tape goes; it replaces what is there. */
  readonly out: string;
  readonly rules: RedactionOptions;
  readonly key: TapeKey;
  /** What makes the tape, for the head of a capture. */
  readonly by: string;
  /** `golden` (default): the form to commit; `capture`: with times and text beside the messages. */
  readonly form?: 'golden' | 'capture';
  /** Keep times in the golden form. */
  readonly times?: boolean;
}

/** What {@link importFile} made. */
export interface ImportedFile {
  readonly format: ImportFormat;
  readonly lines: number;
  readonly blobs: number;
  readonly messages: number;
  /** What of the file is not on the tape, a sentence each. */
  readonly losses: readonly string[];
}

/**
 * Makes a tape of another tool's file: a HAR, flows of mitmproxy, or the log of a stdio server; of a stdio server also of two files, what the
 * client wrote and what the server wrote. It is redacted as a recording is, and besides, values of secret header fields are hidden wherever they
 * come again. Throws `tape_invalid`, saying where, for what cannot be read, has no MCP in it, or is beyond the limits.
 */
export async function importFile(paths: readonly string[], options: ImportFileOptions): Promise<ImportedFile> {
  const { out, rules, key, by, form = 'golden', times = false } = options;
  const [name = ''] = paths;
  const files = await Promise.all(paths.map(readWhole));
  const format = options.from ?? (files.length > 1 ? 'stdio-log' : detectFormat(files[0] ?? new Uint8Array(0)));
  if (files.length > 1 && format !== 'stdio-log')
    throw new ProxyError('tape_invalid', `${paths.join(', ')}: only a stdio log can be in two files`);
  const traffic = named(name, () => importTraffic(files, { format, url: options.url, decode }));
  const values = [...(rules.values ?? []), ...traffic.secrets];
  const redactor = createRedactor({ ...rules, values }, key.hmac);
  const { text, losses } = await traffic.capture({ redactor, keyId: key.id, newDigest, by });
  const bytes = new TextEncoder().encode(text);
  const tape = readTape(bytes, { name: out, newDigest });
  const messages = tape.records.filter(({ k }) => k === 'msg').length;
  if (form === 'capture') {
    await write(out, { content: bytes, blobs: [] });
    return { format, lines: tape.records.length, blobs: 0, messages, losses };
  }
  const golden = goldenOf(tape, { newDigest, times: times && traffic.timed });
  await write(out, { content: golden.lines, blobs: golden.blobs });
  return { format, lines: golden.lines.length, blobs: golden.blobs.length, messages, losses };
}

/** Errors begin with the file. */
function named<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    throw new ProxyError('tape_invalid', `${name}: ${error.message}`, { cause: error });
  }
}

async function readWhole(path: string): Promise<Uint8Array> {
  const fail = (why: string): ProxyError => new ProxyError('tape_invalid', `${path}: ${why}`);
  const file = await stat(path).catch(() => undefined);
  if (file === undefined) throw fail('there is no such file');
  if (!file.isFile()) throw fail('this is no file');
  if (file.size > MAX_FILE) throw fail(`it is larger than ${MAX_FILE} bytes, which is what is imported at once`);
  const bytes = await readFile(path).catch((error: Error) => {
    throw fail(`cannot be read: ${error.message}`);
  });
  if (!isCompressed(bytes)) return bytes;
  try {
    return zlib.unzipSync(bytes, { maxOutputLength: MAX_FILE });
  } catch (error) {
    throw fail(`it is compressed and cannot be unpacked: ${(error as Error).message}`);
  }
}

/** gzip (RFC 1952), or zlib (RFC 1950) as in mitmproxy's `.zhar`. */
function isCompressed([first, second = 0]: Uint8Array): boolean {
  return (first === 0x1f && second === 0x8b) || (first === 0x78 && [0x01, 0x5e, 0x9c, 0xda].includes(second));
}

/** Undoes codings in the order in which they were put on, last first (RFC 9110, 8.4). What a cut leaves of a body is kept. */
function decode(bytes: Uint8Array, encoding: string): Uint8Array {
  return encoding
    .split(',')
    .reverse()
    .reduce((body, coding) => decodeOne(body, coding.trim().toLowerCase()), bytes);
}

const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH, ZSTD_e_flush } = zlib.constants;

function decodeOne(bytes: Uint8Array, coding: string): Uint8Array {
  switch (coding) {
    case '':
    case 'identity':
      return bytes;
    case 'gzip':
    case 'x-gzip':
    case 'deflate':
      return zlib.unzipSync(bytes, { maxOutputLength: MAX_BODY, finishFlush: Z_SYNC_FLUSH });
    case 'br':
      return zlib.brotliDecompressSync(bytes, { maxOutputLength: MAX_BODY, finishFlush: BROTLI_OPERATION_FLUSH });
    case 'zstd':
      return zlib.zstdDecompressSync(bytes, { maxOutputLength: MAX_BODY, finishFlush: ZSTD_e_flush });
    default:
      throw new ProxyError('tape_invalid', `the coding ${coding} is not known`);
  }
}

async function write(
  out: string,
  { content, blobs }: { readonly content: Uint8Array | readonly string[]; readonly blobs: readonly TapeBlob[] },
): Promise<void> {
  try {
    await saveBlobs(dirname(out), blobs);
    await writeWhole(out, content, 0o600);
  } catch (error) {
    await rm(`${out}.${process.pid}.new`, { force: true });
    throw new ProxyError('tape_invalid', `${out}: cannot be written: ${(error as Error).message}`, { cause: error });
  }
}
