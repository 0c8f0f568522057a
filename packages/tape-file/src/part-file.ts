import type { Log } from '@shadowcat/kernel';
import type { FileOps } from './file-ops.js';
import { PART_SUFFIX } from './tape-names.js';
import { beingWritten, ownerOf } from './tape-owner.js';

const LF = 0x0a;

/** Whether the process runs that a tape's head names. */
export type Runs = (process: string) => boolean;

export interface PartFileComponents {
  readonly files: FileOps;
  readonly log: Log;
  /** Default: nobody else records. */
  readonly runs?: Runs | undefined;
}

/** The file under a tape's name is not the one that was written: its message says what happened to it. */
export class PartGone extends Error {}

/** The `.part` file of one tape: makes it, opens it again, knows whether it is still there, and gives it its final name. */
export class PartFile {
  readonly path: string;
  readonly #tape: string;
  readonly #files: FileOps;
  readonly #log: Log;
  readonly #runs: Runs;
  #fd: number | undefined;
  #id: string | undefined;
  /** How long it was when it was looked at last. */
  #checked = 0;

  /** `fd`: the file, if it has been made already. */
  constructor(tape: string, fd: number | undefined, { files, log, runs = () => false }: PartFileComponents) {
    this.#tape = tape;
    this.path = `${tape}${PART_SUFFIX}`;
    this.#files = files;
    this.#log = log;
    this.#runs = runs;
    this.#fd = fd;
  }

  /** Its descriptor, while it is open. */
  get fd(): number | undefined {
    return this.#fd;
  }

  /** Opens the file, which holds `size` bytes. Throws {@link PartGone}, or what the system says. */
  async open(size: number): Promise<number> {
    if (this.#fd !== undefined) return this.#fd;
    if (this.#id === undefined) {
      this.#fd = await this.#make();
      this.#id = (await this.#files.identify(this.#fd))?.id;
      return this.#fd;
    }
    await this.check(size);
    this.#fd = await this.#files.reopen(this.path);
    return this.#fd;
  }

  /** Throws {@link PartGone} unless what is at its path is the file that was written, with `size` bytes or more. */
  async check(size: number): Promise<void> {
    if (this.#id === undefined && this.#fd !== undefined) this.#id = (await this.#files.identify(this.#fd))?.id;
    if (this.#id === undefined) return;
    const found = await this.#files.identify(this.path);
    if (found === undefined) throw new PartGone('it was removed, or renamed, while it was written');
    if (found.id !== this.#id) throw new PartGone('another file was put in its place');
    if (found.size < size || !(await this.#whole())) throw new PartGone('it was cut while it was written');
    this.#checked = size;
  }

  /** What is written behind the place where a file was cut leaves zeros before it: a line no longer ends where one did. */
  async #whole(): Promise<boolean> {
    if (this.#fd === undefined || this.#checked === 0) return true;
    return (await this.#files.byteAt(this.#fd, this.#checked - 1)) === LF;
  }

  /** Closes it; it can be opened again. */
  async close(): Promise<void> {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) await this.#files.close(fd);
  }

  /** Leaves the file to whoever took it: the next `open` makes a new one. */
  async forget(): Promise<void> {
    this.#id = undefined;
    this.#checked = 0;
    await this.close().catch(() => undefined);
  }

  /** Gives the tape its name. */
  async finish(size: number): Promise<void> {
    await this.check(size);
    await this.close();
    await this.#files.rename(this.path, this.#tape);
  }

  /** Removes a file on which there is nothing, where a tape of this name is already. True when it did. */
  async discard(): Promise<boolean> {
    if ((await this.#files.identify(this.#tape)) === undefined) return false;
    await this.close();
    await this.#files.remove(this.path);
    return true;
  }

  /** What an earlier recording left here is kept under another name. */
  async #make(): Promise<number> {
    try {
      return await this.#files.create(this.path);
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    }
    const owner = ownerOf(this.path);
    if (owner !== undefined && this.#runs(owner))
      throw new Error(`${beingWritten(this.path, owner)}; two cannot share it`);
    let kept = `${this.path}.1`;
    for (let number = 2; (await this.#files.identify(kept)) !== undefined; number += 1) kept = `${this.path}.${number}`;
    await this.#files.rename(this.path, kept);
    this.#log.warn(
      { tape: kept },
      `an earlier recording was cut short; it is kept as ${kept} (shadowcat tape recover ${kept})`,
    );
    return this.#files.create(this.path);
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
