import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as zlib from 'node:zlib';
import { ProxyError } from '@shadowcat/kernel';
import {
  createRedactor,
  type Decode,
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

/** What is read of a file, also when it is compressed, and of all bodies in it when they are decoded; and the longest body, in bytes. */
const MAX_FILE = 268_435_456;
const MAX_BODY = 33_554_432;
/** How many codings one body may have. */
const MAX_CODINGS = 4;
/** Names what comes on stdin. */
export const STDIN_NAME = '-';

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
 * client wrote and what the server wrote. Pipes, and `-` for stdin, are read to their end. It is redacted as a recording is, and besides, values of secret header fields are hidden wherever they
 * come again. Throws `tape_invalid`, saying where, for what cannot be read, has no MCP in it, or is beyond the limits.
 */
export async function importFile(paths: readonly string[], options: ImportFileOptions): Promise<ImportedFile> {
  const { out, rules, key, by, form = 'golden', times = false } = options;
  const [name = ''] = paths.map((path) => (path === STDIN_NAME ? 'stdin' : path));
  const files = await Promise.all(paths.map(readWhole));
  const format =
    options.from ?? files.map((bytes, index) => formatOf(bytes, paths[index] ?? '')).find(isNoLog) ?? 'stdio-log';
  if (files.length > 1 && isNoLog(format))
    throw new ProxyError('tape_invalid', `${paths.join(', ')}: only a stdio log can be in two files`);
  const decode = bodyDecoder();
  const traffic = await named(name, () => importTraffic(files, { format, url: options.url, decode }));
  const values = [...(rules.values ?? []), ...traffic.secrets];
  const redactor = createRedactor({ ...rules, values }, key.hmac);
  const { text, losses } = await named(name, () => traffic.capture({ redactor, keyId: key.id, newDigest, by }));
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
async function named<T>(name: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    throw new ProxyError('tape_invalid', `${name}: ${error.message}`, { cause: error });
  }
}

const isNoLog = (format: ImportFormat): boolean => format !== 'stdio-log';

function formatOf(bytes: Uint8Array, path: string): ImportFormat {
  if (/^\s*\{\s*"k"\s*:\s*"head"/.test(Buffer.from(bytes.subarray(0, 256)).toString('latin1')))
    throw new ProxyError('tape_invalid', `${path}: this is a tape already`);
  return detectFormat(bytes);
}

async function readWhole(path: string): Promise<Uint8Array> {
  const fail = (why: string): ProxyError => new ProxyError('tape_invalid', `${path}: ${why}`);
  const bytes = await readAtMost(path).catch((error: Error) => {
    throw error instanceof ProxyError ? fail(error.message) : fail(`cannot be read: ${error.message}`);
  });
  if (!isCompressed(bytes)) return bytes;
  try {
    return zlib.unzipSync(bytes, { maxOutputLength: MAX_FILE });
  } catch (error) {
    throw fail(`it is compressed and cannot be unpacked: ${(error as Error).message}`);
  }
}

async function readAtMost(path: string): Promise<Uint8Array> {
  const file = path === STDIN_NAME ? undefined : await stat(path);
  if (file?.isDirectory() === true) throw new ProxyError('tape_invalid', 'this is a directory');
  const large = new ProxyError(
    'tape_invalid',
    `it is larger than ${MAX_FILE} bytes, which is what is imported at once`,
  );
  if (file?.isFile() === true) {
    if (file.size > MAX_FILE) throw large;
    return readFile(path);
  }
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of createReadStream(path, file === undefined ? { fd: 0 } : {}) as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_FILE) throw large;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** gzip (RFC 1952), or zlib (RFC 1950) as in mitmproxy's `.zhar`. */
function isCompressed([first, second = 0]: Uint8Array): boolean {
  return (first === 0x1f && second === 0x8b) || (first === 0x78 && [0x01, 0x5e, 0x9c, 0xda].includes(second));
}

/**
 * What undoes the codings of one file's bodies, last first (RFC 9110, 8.4). What a cut leaves of a body is kept. A few bytes can be a great
 * many once decoded, so all of them together are counted, those that are too large for a body too.
 */
function bodyDecoder(): Decode {
  let left = MAX_FILE;
  const spend = (bytes: number): void => {
    left -= bytes;
    if (left < 0)
      throw new ProxyError('tape_invalid', `its bodies are more than ${MAX_FILE} bytes when they are decoded`);
  };
  return (bytes, encoding) => {
    const codings = encoding.split(',').reverse();
    if (codings.length > MAX_CODINGS) throw new RangeError(`${codings.length} codings`);
    return codings.reduce((body, coding) => {
      try {
        const decoded = decodeOne(body, coding.trim().toLowerCase());
        spend(decoded.length);
        return decoded;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') spend(MAX_BODY);
        throw error;
      }
    }, bytes);
  };
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
      throw new RangeError(`the coding ${coding} is not known`);
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
    throw new ProxyError('tape_invalid', `${out}: cannot be written: ${(error as Error).message}`, { cause: error });
  }
}
