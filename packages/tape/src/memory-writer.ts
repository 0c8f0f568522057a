import type { Clock } from '@shadowcat/kernel';
import { type NewDigest, Seal } from './seal.js';
import type { TapeWriter, WriterState } from './writer.js';

/** A tape in memory. */
export interface MemoryTape extends TapeWriter {
  /** Everything written so far, as it would be in the file. */
  readonly text: string;
}

const encoder = new TextEncoder();

/** A writer that keeps its tape in memory, checkpoints and end record included. `head` is the first line. */
export function memoryTape(name: string, head: string, components: { clock: Clock; newDigest: NewDigest }): MemoryTape {
  const { clock } = components;
  const seal = new Seal(components.newDigest);
  let text = '';
  let closed = false;
  const write = (line: string): void => {
    const bytes = encoder.encode(`${line}\n`);
    seal.wrote(bytes, 1, clock.now());
    text += `${line}\n`;
  };
  const state = (): WriterState => ({
    status: closed ? 'closed' : 'ok',
    written: seal.lines,
    bytes: text.length,
    lost: 0,
    queued: 0,
  });
  write(head);
  return {
    name,
    get text() {
      return text;
    },
    append(line) {
      if (closed) return;
      if (seal.due(clock.now())) {
        const checkpoint = seal.checkpoint();
        seal.restart();
        write(checkpoint);
      }
      write(line);
    },
    room: () => undefined,
    state,
    async finish() {
      if (closed) return;
      closed = true;
      text += `${seal.end(0)}\n`;
    },
  };
}
