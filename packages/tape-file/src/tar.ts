import { ProxyError } from '@shadowcat/kernel';

/** POSIX.1-1988 ustar, plain files only: what every `tar` reads, and all that a pack needs. */
const BLOCK = 512;
const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  magic: [257, 8],
  prefix: [345, 155],
} as const;
const MAGIC = 'ustar\x0000';
const PLAIN_FILE = '0';
const DIRECTORY = '5';
/** How many bytes of zeros may follow the last file: GNU's tar fills up to 20 blocks. */
const MAX_FILLING = 1_048_576;

/** How many directories are passed over: a few bytes of gzip can be any number of them. */
const MAX_DIRECTORIES = 10_000;

/** The longest name of a file, in bytes of UTF-8. */
export const MAX_TAR_NAME = FIELDS.name[1];

export interface TarFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** An archive, in pieces. The same files give the same bytes: no times, no owners, mode 0600. */
export async function* tarOf(files: AsyncIterable<TarFile>): AsyncGenerator<Uint8Array> {
  for await (const { name, bytes } of files) {
    yield headerOf(name, bytes.length);
    yield bytes;
    yield new Uint8Array(fillingOf(bytes.length));
  }
  yield new Uint8Array(2 * BLOCK);
}

function headerOf(name: string, size: number): Uint8Array {
  if (Buffer.byteLength(name) > MAX_TAR_NAME) throw new RangeError(`${name} is too long for a tar archive`);
  const header = Buffer.alloc(BLOCK);
  const put = (field: keyof typeof FIELDS, text: string): void => void header.write(text, FIELDS[field][0]);
  const octal = (field: keyof typeof FIELDS, value: number): void =>
    put(field, value.toString(8).padStart(FIELDS[field][1] - 1, '0'));
  put('name', name);
  octal('mode', 0o600);
  octal('uid', 0);
  octal('gid', 0);
  octal('size', size);
  octal('mtime', 0);
  put('type', PLAIN_FILE);
  put('magic', MAGIC);
  put('checksum', `${checksumOf(header).toString(8).padStart(6, '0')}\0 `);
  return header;
}

/** The sum of a header's bytes, its own field taken for spaces. */
function checksumOf(header: Uint8Array): number {
  const [start, length] = FIELDS.checksum;
  return header.reduce((sum, byte, at) => sum + (at >= start && at < start + length ? 0x20 : byte), 0);
}

const fillingOf = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/** A file of an archive that is being read. */
export interface TarEntry {
  readonly name: string;
  readonly size: number;
  /** Its bytes, which have to be read to the end before the next entry is asked for. */
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * The files of an archive, which is not trusted. Throws `tape_invalid` for what is no archive, is cut off, or holds anything but
 * plain files: links, devices, names continued elsewhere. Directories are passed over. The caller judges names and sizes before
 * it reads a content.
 */
export async function* tarEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(source);
  let directories = 0;
  for (;;) {
    const header = await reader.exactly(BLOCK);
    if (header.every((byte) => byte === 0)) break;
    const { name, size, type } = readHeader(header);
    if (type === DIRECTORY && size === 0) {
      directories += 1;
      if (directories > MAX_DIRECTORIES) throw invalid(`it has more than ${MAX_DIRECTORIES} directories`);
      continue;
    }
    if (type !== PLAIN_FILE) throw invalid(`"${name}" in it is no plain file`);
    yield { name, size, content: reader.upTo(size) };
    await reader.exactly(fillingOf(size));
  }
  // To its end, so that whoever unpacks it has compared its checksum.
  await reader.zeros(MAX_FILLING);
}

function readHeader(header: Uint8Array): { readonly name: string; readonly size: number; readonly type: string } {
  const text = (field: keyof typeof FIELDS): string => {
    const [start, length] = FIELDS[field];
    const bytes = header.subarray(start, start + length);
    const end = bytes.indexOf(0);
    return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
  };
  const number = (field: 'size' | 'checksum'): number => {
    const digits = /^ *([0-7]+) *$/.exec(text(field))?.[1];
    if (digits === undefined) throw invalid('a header in it cannot be read');
    return Number.parseInt(digits, 8);
  };
  if (text('magic').slice(0, 5) !== 'ustar' || number('checksum') !== checksumOf(header))
    throw invalid('it is not a tar archive, or damaged');
  if (text('prefix') !== '') throw invalid('a name in it is too long');
  // The bytes of a name that is no UTF-8 would be other ones in the file system.
  if (text('name').includes('\ufffd')) throw invalid('a name in it is not UTF-8');
  return { name: text('name').replace(/^\.\//, ''), size: number('size'), type: text('type') || PLAIN_FILE };
}

/** Takes bytes off a stream, in the amounts that are asked for. */
class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async exactly(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for await (const part of this.upTo(length)) parts.push(part);
    return Buffer.concat(parts);
  }

  async *upTo(length: number): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0; ) {
      if (this.#rest.length === 0 && !(await this.#more())) throw invalid('it is cut off');
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  /** All that is left has to be zeros, and not many. */
  async zeros(most: number): Promise<void> {
    let read = 0;
    do {
      read += this.#rest.length;
      if (read > most || this.#rest.some((byte) => byte !== 0)) throw invalid('something follows its end');
    } while (await this.#more());
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#source.next();
    if (done === true) return false;
    this.#rest = value;
    return true;
  }
}

const invalid = (message: string): ProxyError => new ProxyError('tape_invalid', message);
