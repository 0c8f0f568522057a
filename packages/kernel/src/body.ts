import { ProxyError } from './errors.js';
import type { Frame } from './frame.js';
import { type FrameDecoder, type Framing, opaqueFraming } from './framing.js';

/** How a body came to its end: read to the end, its source failed, or its reader left before the end. */
export type BodyEnd =
  | { readonly kind: 'complete' }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'abandoned' };

/** Sees each frame as it passes and cannot change it; a promise returned holds the stream back until it settles. */
export interface FrameObserver {
  readonly transforms: false;
  frame(frame: Frame): void | Promise<void>;
  /** Called once, if the body was ever read. */
  end?(end: BodyEnd): void | Promise<void>;
}

/** May replace a frame (one for one), drop it (`undefined`), or put several in its place. */
export interface FrameTransform {
  readonly transforms: true;
  frame(frame: Frame): FrameResult | Promise<FrameResult>;
  end?(end: BodyEnd): void | Promise<void>;
}
export type FrameResult = Frame | readonly Frame[] | undefined;
export type FrameStep = FrameObserver | FrameTransform;

/** Bytes to be read once. `collect`, where the source has it, reads all of them more cheaply than iterating. */
export interface ByteSource extends AsyncIterable<Uint8Array> {
  /** Rejects with `ProxyError('body_too_large')` as soon as more than `limit` bytes came. */
  collect?(limit: number): Promise<Uint8Array>;
}

type Origin =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  | { readonly kind: 'bytes'; readonly source: ByteSource }
  | { readonly kind: 'frames'; readonly source: AsyncIterable<Frame> };

const NO_BYTES = new Uint8Array(0);

/**
 * A byte source, a framing and a list of frame steps. Immutable; read once, by {@link Body.bytes}, {@link Body.frames} or
 * {@link Body.collect}. A body that nobody added a step to is sent on as it is, never split, parsed or copied; with
 * observers only, its bytes pass unchanged while the frames are shown to them.
 */
export class Body {
  static readonly empty = new Body(opaqueFraming, { kind: 'whole', bytes: NO_BYTES }, []);

  /** A body whose bytes are all there. */
  static whole(bytes: Uint8Array, framing: Framing): Body {
    return new Body(framing, { kind: 'whole', bytes }, []);
  }
  /** A body that arrives. */
  static stream(source: ByteSource, framing: Framing): Body {
    return new Body(framing, { kind: 'bytes', source }, []);
  }
  /** A body that is made of messages here, such as the answers of a line; `framing` says how they leave. */
  static fromFrames(source: AsyncIterable<Frame>, framing: Framing): Body {
    return new Body(framing, { kind: 'frames', source }, []);
  }

  readonly framing: Framing;
  readonly #origin: Origin;
  readonly #steps: readonly FrameStep[];

  private constructor(framing: Framing, origin: Origin, steps: readonly FrameStep[]) {
    this.framing = framing;
    this.#origin = origin;
    this.#steps = steps;
  }

  /** All bytes, when they are there already and no step wants to see them; lets a writer skip the loop. */
  get ready(): Uint8Array | undefined {
    return this.#origin.kind === 'whole' && this.#steps.length === 0 ? this.#origin.bytes : undefined;
  }

  /** Whether the bytes that leave may differ in number from those of the source (a `content-length` is void then). */
  get rewritten(): boolean {
    return this.#origin.kind === 'frames' || this.#steps.some((step) => step.transforms);
  }

  /** The same body with one more step; steps run in the order they were added. */
  with(step: FrameStep): Body {
    return new Body(this.framing, this.#origin, [...this.#steps, step]);
  }

  /** The bytes to send. */
  bytes(): AsyncIterable<Uint8Array> {
    const origin = this.#origin;
    if (this.#steps.length === 0 && origin.kind !== 'frames') {
      return origin.kind === 'bytes' ? origin.source : once(origin.bytes);
    }
    if (this.rewritten) return this.#encoded();
    return this.#observed(origin.kind === 'whole' ? once(origin.bytes) : (origin as { source: ByteSource }).source);
  }

  /** The frames, after the steps. */
  async *frames(): AsyncGenerator<Frame, void, undefined> {
    yield* this.#stepped();
  }

  /** All bytes in one piece. Throws `ProxyError('body_too_large')` beyond `limit` bytes. */
  async collect(limit: number): Promise<Uint8Array> {
    const origin = this.#origin;
    if (this.#steps.length === 0 && origin.kind === 'whole') return within(origin.bytes, limit);
    if (this.#steps.length === 0 && origin.kind === 'bytes' && origin.source.collect !== undefined) {
      return origin.source.collect(limit);
    }
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of this.bytes()) {
      size += chunk.length;
      if (size > limit) throw tooLarge(limit);
      chunks.push(chunk);
    }
    return concat(chunks, size);
  }

  async *#observed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const decoder = this.framing.decoder();
    const steps = this.#steps;
    let end: BodyEnd = { kind: 'abandoned' };
    try {
      for await (const chunk of source) {
        for (const frame of decoder.push(chunk)) await show(steps, frame);
        yield chunk;
      }
      for (const frame of decoder.end()) await show(steps, frame);
      end = { kind: 'complete' };
    } catch (error) {
      end = { kind: 'failed', error };
      throw error;
    } finally {
      await finish(steps, end);
    }
  }

  async *#encoded(): AsyncGenerator<Uint8Array, void, undefined> {
    const framing = this.framing;
    for await (const frame of this.#stepped()) yield frame.bytes ?? framing.encode(frame);
  }

  async *#stepped(): AsyncGenerator<Frame, void, undefined> {
    const steps = this.#steps;
    let end: BodyEnd = { kind: 'abandoned' };
    try {
      for await (const frame of this.#decoded()) {
        let current: readonly Frame[] = [frame];
        for (const step of steps) {
          if (current.length === 0) break;
          current = await apply(step, current);
        }
        yield* current;
      }
      end = { kind: 'complete' };
    } catch (error) {
      end = { kind: 'failed', error };
      throw error;
    } finally {
      await finish(steps, end);
    }
  }

  async *#decoded(): AsyncGenerator<Frame, void, undefined> {
    const origin = this.#origin;
    if (origin.kind === 'frames') {
      yield* origin.source;
      return;
    }
    const decoder: FrameDecoder = this.framing.decoder();
    if (origin.kind === 'whole') yield* decoder.push(origin.bytes);
    else for await (const chunk of origin.source) yield* decoder.push(chunk);
    yield* decoder.end();
  }
}

async function apply(step: FrameStep, frames: readonly Frame[]): Promise<readonly Frame[]> {
  if (!step.transforms) {
    for (const frame of frames) await step.frame(frame);
    return frames;
  }
  const out: Frame[] = [];
  for (const frame of frames) {
    const result = await step.frame(frame);
    if (result === undefined) continue;
    if (Array.isArray(result)) out.push(...(result as readonly Frame[]));
    else out.push(result as Frame);
  }
  return out;
}

/** Tells every step, also when one of them fails; the first failure is thrown once all know. */
async function finish(steps: readonly FrameStep[], end: BodyEnd): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step.end?.(end);
    } catch (error) {
      failures.push(error);
    }
  }
  // A body that failed says why it failed, not what the failure led to.
  if (failures.length > 0 && end.kind !== 'failed') throw failures[0];
}

async function show(steps: readonly FrameStep[], frame: Frame): Promise<void> {
  for (const step of steps) {
    const held = step.frame(frame);
    if (held !== undefined) await held;
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  if (bytes.length > 0) yield bytes;
}

function within(bytes: Uint8Array, limit: number): Uint8Array {
  if (bytes.length > limit) throw tooLarge(limit);
  return bytes;
}

function tooLarge(limit: number): ProxyError {
  return new ProxyError('body_too_large', `the body is larger than ${limit} bytes`);
}

/** Joins chunks whose lengths add up to `size`. */
export function concat(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const only = chunks.length === 1 ? chunks[0] : undefined;
  if (only !== undefined) return only;
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
