import { readFile, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ProxyError } from '@shadowcat/kernel';
import {
  blobPath,
  createRedactor,
  type GoldenTape,
  hasPlaceholder,
  type RedactionOptions,
  type Redactor,
  readTape,
  redactCapture,
  redactGolden,
  redactLine,
  type SecretFinding,
  soundTape,
  type Tape,
  type TapeProblem,
} from '@shadowcat/tape';
import { loadBlobs, saveBlobs, writeWhole } from './blob-files.js';
import { newDigest } from './digest.js';
import { tapesIn } from './list.js';
import type { Runs } from './part-file.js';
import { readTapeBytes } from './read-file.js';
import type { TapeKey } from './tape-key.js';

/** A secret on a tape, or in what lies beside it; never the secret itself. */
export interface TapeSecret extends SecretFinding {
  /** The line of the tape, from 1. */
  readonly line: number;
  /** Where the secret lies when it is not on the tape itself: relative to it, such as `blobs/3f/a2….txt`. */
  readonly blob?: string;
}

/** Who hears of the state of a tape that is scanned. */
export interface ScanWatch {
  /** Told what makes a tape one that cannot be used: what is missing there was not looked at. */
  readonly unsound?: (problem: TapeProblem) => void;
  /** Told instead that a process that `runs` is writing the tape: what that writes from now on is not looked at. */
  readonly growing?: (owner: string) => void;
  readonly runs?: Runs;
}

/**
 * The secrets of a tape in any form and state, line by line, and those in its blobs. Throws `tape_invalid` for what is no
 * tape at all, and `SyntaxError` for a pattern that is no regular expression.
 */
export async function scanTapeFile(
  path: string,
  options: RedactionOptions,
  watch: ScanWatch = {},
): Promise<readonly TapeSecret[]> {
  const bytes = await readTapeBytes(path);
  const secrets: TapeSecret[] = [];
  let line = 0;
  let blob: string | undefined;
  const redactor = createRedactor(
    options,
    () => '0'.repeat(16),
    (finding) => secrets.push({ line, ...finding, ...(blob === undefined ? {} : { blob }) }),
  );
  const tape = readTape(bytes, { name: path, newDigest });
  tellState(tape, watch);
  for (const text of linesOf(bytes)) {
    line += 1;
    redactLine(text, redactor);
  }
  for (const record of tape.records) {
    if (record.k !== 'msg') continue;
    for (const pointer of record.blobs ?? []) {
      line = record.line;
      blob = blobPath(pointer);
      await scanBlob(join(dirname(path), blob), redactor);
    }
  }
  return secrets;
}

function tellState({ problems, head, end }: Tape, { unsound, growing, runs }: ScanWatch): void {
  const problem = problems.find(({ kind }) => kind !== 'gap' && kind !== 'edited');
  if (problem === undefined) return;
  const owner = end === undefined && problem.kind === 'truncated' ? head.process : undefined;
  if (owner !== undefined && runs?.(owner) === true) growing?.(owner);
  else unsound?.(problem);
}

function* linesOf(bytes: Uint8Array): Generator<string> {
  const decoder = new TextDecoder();
  for (let at = 0; at < bytes.length; ) {
    const next = bytes.indexOf(0x0a, at);
    const end = next < 0 ? bytes.length : next;
    yield decoder.decode(bytes.subarray(at, end));
    at = end + 1;
  }
}

/** What is no text has no secrets that could be found; what is not there is not this command's finding. */
async function scanBlob(file: string, redactor: Redactor): Promise<void> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
  } catch {
    return;
  }
  redactor.text(text);
}

export interface RedactTapeFileOptions {
  readonly rules: RedactionOptions;
  readonly key: TapeKey;
  /** Where to write it. Default: in the place of the tape. */
  readonly out?: string;
}

/** What was hidden, and where the tape without it is. */
export interface RedactedFile {
  readonly out: string;
  readonly hidden: readonly SecretFinding[];
  /** Files with secrets in them that this tape does not use any more, and other tapes do: relative to the tape. */
  readonly left: readonly string[];
}

/**
 * Hides the secrets of a tape and of its blobs, and seals it again; a tape without secrets is not touched. Throws `tape_invalid`
 * for a tape that is not sound, because sealing it again would hide that, and for one whose placeholders were made with another
 * key than the given one.
 */
export async function redactTapeFile(path: string, options: RedactTapeFileOptions): Promise<RedactedFile> {
  const { rules, key, out = path } = options;
  const bytes = await readTapeBytes(path);
  const tape = soundTape(readTape(bytes, { name: path, newDigest }));
  checkKey(tape, bytes, key);
  const hidden: SecretFinding[] = [];
  const redactor = createRedactor(rules, key.hmac, (finding) => hidden.push(finding));
  const parts = { redactor, keyId: key.id, newDigest };
  const mode = (await stat(path)).mode & 0o777;
  let left: readonly string[] = [];
  if (tape.head.form === 'capture') {
    const redacted = redactCapture(bytes, tape, parts);
    if (redacted !== undefined || out !== path) await write(out, redacted ?? bytes, mode);
  } else {
    const golden = redactGolden(await loadBlobs(tape, path), parts);
    if (golden !== undefined) await writeGolden(golden, out, mode);
    else if (out !== path) await write(out, bytes, mode);
    if (golden !== undefined && out === path) left = await dropBlobs(tape, golden, path);
  }
  return { out, hidden, left };
}

function checkKey(tape: Tape, bytes: Uint8Array, key: TapeKey): void {
  const made = tape.head.redaction?.key;
  if (made === undefined || made === key.id || !hasPlaceholder(new TextDecoder().decode(bytes))) return;
  throw new ProxyError(
    'tape_invalid',
    `${tape.name}: what is hidden on it was hidden with another key (${made}, not ${key.id}): ` +
      'bring the .shadowcat/tape.key of the recording, or set SHADOWCAT_TAPE_KEY',
  );
}

async function writeGolden(golden: GoldenTape, out: string, mode: number): Promise<void> {
  await saveBlobs(dirname(out), golden.blobs);
  await write(out, golden.lines, mode);
}

async function write(out: string, content: Uint8Array | readonly string[], mode: number): Promise<void> {
  try {
    await writeWhole(out, content, mode);
  } catch (error) {
    throw new ProxyError('tape_invalid', `${out}: cannot be written: ${(error as Error).message}`, { cause: error });
  }
}

/** Removes the blobs that held secrets, unless another tape of the directory names them. */
async function dropBlobs(tape: Tape, golden: GoldenTape, path: string): Promise<readonly string[]> {
  const kept = new Set(golden.blobs.map((blob) => blob.path));
  const pointers = tape.records.flatMap((record) => (record.k === 'msg' ? (record.blobs ?? []) : []));
  const unused = pointers.filter((pointer) => !kept.has(blobPath(pointer)));
  if (unused.length === 0) return [];
  const directory = dirname(path);
  const others = (await tapesIn(directory)).filter((name) => name !== basename(path));
  const texts = await Promise.all(others.map((name) => readFile(join(directory, name), 'latin1')));
  const left: string[] = [];
  for (const pointer of unused) {
    const blob = blobPath(pointer);
    if (texts.some((text) => text.includes(pointer.sha))) left.push(blob);
    else await rm(join(directory, blob), { force: true });
  }
  return left;
}
