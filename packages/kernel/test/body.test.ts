import { describe, expect, it } from 'vitest';
import { Body, type BodyEnd, type ByteSource, concat, type FrameResult, type FrameStep } from '../src/body.js';
import { ProxyError } from '../src/errors.js';
import { Frame } from '../src/frame.js';
import { type FrameDecoder, type Framing, opaqueFraming } from '../src/framing.js';

const encoder = new TextEncoder();
const bytesOf = (text: string): Uint8Array => encoder.encode(text);
const textOf = (chunks: readonly Uint8Array[]): string =>
  chunks.map((chunk) => new TextDecoder().decode(chunk)).join('');

/** Frames end with a semicolon: the smallest framing that needs state. */
const words: Framing = {
  name: 'ndjson',
  decoder(): FrameDecoder {
    let rest = '';
    return {
      push(chunk) {
        const parts = (rest + new TextDecoder().decode(chunk)).split(';');
        rest = parts.pop() ?? '';
        return parts.map((text) => new Frame({ text, bytes: bytesOf(`${text};`) }));
      },
      end: () => (rest === '' ? [] : [new Frame({ text: rest, bytes: bytesOf(rest) })]),
    };
  },
  encode: (frame) => bytesOf(`<${frame.text}>;`),
};

function source(...chunks: string[]): ByteSource & { closed: () => boolean } {
  let closed = false;
  return {
    closed: () => closed,
    async *[Symbol.asyncIterator]() {
      try {
        for (const chunk of chunks) yield bytesOf(chunk);
      } finally {
        closed = true;
      }
    },
  };
}

async function* failing(text: string, error: unknown): AsyncGenerator<Uint8Array> {
  yield bytesOf(text);
  throw error;
}

/** Writes down what it is shown. */
function watcher(): FrameStep & { seen: (string | undefined)[]; ends: BodyEnd[] } {
  const seen: (string | undefined)[] = [];
  const ends: BodyEnd[] = [];
  return {
    transforms: false,
    seen,
    ends,
    frame: (frame) => void seen.push(frame.text),
    end: (end) => void ends.push(end),
  };
}

function transform(change: (frame: Frame) => FrameResult | Promise<FrameResult>): FrameStep & { ends: BodyEnd[] } {
  const ends: BodyEnd[] = [];
  return { transforms: true, ends, frame: change, end: (end) => void ends.push(end) };
}

async function read(body: Body): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body.bytes()) chunks.push(chunk);
  return chunks;
}

describe('a body that nobody added a step to', () => {
  it('gives out its source as it is', () => {
    const origin = source('a;', 'b;');
    expect(Body.stream(origin, words).bytes()).toBe(origin);
  });

  it('is ready when its bytes are all there', () => {
    const bytes = bytesOf('a;b;');
    expect(Body.whole(bytes, words).ready).toBe(bytes);
    expect(Body.stream(source('a;'), words).ready).toBeUndefined();
    expect(Body.whole(bytes, words).with(watcher()).ready).toBeUndefined();
  });

  it('yields nothing when it is empty', async () => {
    expect(await read(Body.empty)).toEqual([]);
    expect(Body.empty.framing).toBe(opaqueFraming);
  });

  it('is not rewritten, nor is one that is only watched', () => {
    const body = Body.stream(source('a;'), words);
    expect(body.rewritten).toBe(false);
    expect(body.with(watcher()).rewritten).toBe(false);
    expect(body.with(transform((frame) => frame)).rewritten).toBe(true);
    expect(Body.fromFrames(framesOf('a'), words).rewritten).toBe(true);
  });
});

describe('observers', () => {
  it('see every frame while the very same chunks pass', async () => {
    const chunks = [bytesOf('on'), bytesOf('e;two;th'), bytesOf('ree;rest')];
    const step = watcher();
    const passed = await read(
      Body.stream(
        {
          async *[Symbol.asyncIterator]() {
            yield* chunks;
          },
        },
        words,
      ).with(step),
    );
    expect(passed).toHaveLength(3);
    for (const [index, chunk] of passed.entries()) expect(chunk).toBe(chunks[index]);
    expect(step.seen).toEqual(['one', 'two', 'three', 'rest']);
    expect(step.ends).toEqual([{ kind: 'complete' }]);
  });

  it('see a frame before the chunk that completed it leaves', async () => {
    const step = watcher();
    const reader = Body.stream(source('a;', 'b;'), words).with(step).bytes()[Symbol.asyncIterator]();
    await reader.next();
    expect(step.seen).toEqual(['a']);
    await reader.return?.(undefined);
  });

  it('hold the stream back while their promise is open', async () => {
    const gate = Promise.withResolvers<void>();
    const body = Body.whole(bytesOf('a;'), words).with({ transforms: false, frame: () => gate.promise });
    const first = body.bytes()[Symbol.asyncIterator]().next();
    let passed = false;
    void first.then(() => {
      passed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(passed).toBe(false);
    gate.resolve();
    await first;
    expect(passed).toBe(true);
  });

  it('run in the order they were added', async () => {
    const order: string[] = [];
    const step = (name: string): FrameStep => ({ transforms: false, frame: () => void order.push(name) });
    await read(Body.whole(bytesOf('a;'), words).with(step('first')).with(step('second')));
    expect(order).toEqual(['first', 'second']);
  });

  it('do not change the body they were added to', async () => {
    const step = watcher();
    const body = Body.whole(bytesOf('a;'), words);
    body.with(step);
    await read(body);
    expect(step.seen).toEqual([]);
  });

  it('are told that the reader left, and the source is closed', async () => {
    const step = watcher();
    const origin = source('a;', 'b;');
    for await (const _chunk of Body.stream(origin, words).with(step).bytes()) break;
    expect(step.ends).toEqual([{ kind: 'abandoned' }]);
    expect(origin.closed()).toBe(true);
  });

  it('are told why the source failed', async () => {
    const step = watcher();
    const error = new ProxyError('upstream_closed', 'gone');
    await expect(read(Body.stream(failing('a;b', error), words).with(step))).rejects.toBe(error);
    expect(step.seen).toEqual(['a']);
    expect(step.ends).toEqual([{ kind: 'failed', error }]);
  });

  it('end the body when they throw, and are told so', async () => {
    const error = new Error('full');
    const later = watcher();
    const body = Body.stream(source('a;'), words)
      .with({
        transforms: false,
        frame() {
          throw error;
        },
      })
      .with(later);
    await expect(read(body)).rejects.toBe(error);
    expect(later.ends).toEqual([{ kind: 'failed', error }]);
  });

  it('are all told of the end, also when one of them fails at it', async () => {
    const error = new Error('cannot end');
    const later = watcher();
    const body = Body.whole(bytesOf('a;'), words)
      .with({ transforms: false, frame() {}, end: () => Promise.reject(error) })
      .with(later);
    await expect(read(body)).rejects.toBe(error);
    expect(later.ends).toEqual([{ kind: 'complete' }]);
  });

  it('do not hide the failure of a source behind their own', async () => {
    const error = new Error('source');
    const body = Body.stream(failing('a;', error), words).with({
      transforms: false,
      frame() {},
      end: () => Promise.reject(new Error('cannot end')),
    });
    await expect(read(body)).rejects.toBe(error);
  });

  it('hear nothing of a body that was never read', async () => {
    const step = watcher();
    const body = Body.stream(source('a;'), words).with(step);
    await body.bytes()[Symbol.asyncIterator]().return?.(undefined);
    expect(step.ends).toEqual([]);
  });
});

describe('transforms', () => {
  const cases: [name: string, change: (frame: Frame) => FrameResult | Promise<FrameResult>, sent: string][] = [
    ['pass a frame with the bytes it came with', (frame) => frame, 'a;b;'],
    ['replace one for one', (frame) => (frame.text === 'a' ? frame.replace('A') : frame), '<A>;b;'],
    ['drop', (frame) => (frame.text === 'a' ? undefined : frame), 'b;'],
    ['put several in its place', (frame) => [frame, frame.replace('again')], 'a;<again>;b;<again>;'],
    ['put none in its place', () => [], ''],
    ['may take their time', (frame) => Promise.resolve(frame.replace('late')), '<late>;<late>;'],
  ];
  it.each(cases)('%s', async (_name, change, sent) => {
    const step = transform(change);
    expect(textOf(await read(Body.stream(source('a;', 'b;'), words).with(step)))).toBe(sent);
    expect(step.ends).toEqual([{ kind: 'complete' }]);
  });

  it('feed the steps after them', async () => {
    const before = watcher();
    const after = watcher();
    const body = Body.whole(bytesOf('a;b;'), words)
      .with(before)
      .with(transform((frame) => (frame.text === 'a' ? undefined : [frame, frame.replace('c')])))
      .with(after);
    expect(textOf(await read(body))).toBe('b;<c>;');
    expect(before.seen).toEqual(['a', 'b']);
    expect(after.seen).toEqual(['b', 'c']);
  });

  it('are told that the reader left', async () => {
    const step = transform((frame) => frame);
    const origin = source('a;', 'b;');
    for await (const _chunk of Body.stream(origin, words).with(step).bytes()) break;
    expect(step.ends).toEqual([{ kind: 'abandoned' }]);
    expect(origin.closed()).toBe(true);
  });

  it('are told of what a step threw', async () => {
    const error = new ProxyError('blocked', 'no');
    const step = transform(() => Promise.reject(error));
    await expect(read(Body.stream(source('a;'), words).with(step))).rejects.toBe(error);
    expect(step.ends).toEqual([{ kind: 'failed', error }]);
  });
});

async function* framesOf(...texts: string[]): AsyncGenerator<Frame> {
  for (const text of texts) yield new Frame({ text });
}

describe('frames', () => {
  it('come after the steps', async () => {
    const body = Body.stream(source('a;b', ';c'), words).with(transform((frame) => frame.replace(`${frame.text}!`)));
    const texts: (string | undefined)[] = [];
    for await (const frame of body.frames()) texts.push(frame.text);
    expect(texts).toEqual(['a!', 'b!', 'c!']);
  });

  it('that were made here leave as the framing says', async () => {
    expect(textOf(await read(Body.fromFrames(framesOf('a', 'b'), words)))).toBe('<a>;<b>;');
  });

  it('of a whole body are the same as of its chunks', async () => {
    const texts: (string | undefined)[] = [];
    for await (const frame of Body.whole(bytesOf('a;b'), words).frames()) texts.push(frame.text);
    expect(texts).toEqual(['a', 'b']);
  });

  it('are shown to the end of each step once', async () => {
    const step = watcher();
    for await (const _frame of Body.whole(bytesOf('a;b'), words).with(step).frames()) break;
    expect(step.ends).toEqual([{ kind: 'abandoned' }]);
  });
});

describe('collect', () => {
  const tooLarge = expect.objectContaining({ code: 'body_too_large' });
  const bodies: [name: string, make: () => Body][] = [
    ['whole', () => Body.whole(bytesOf('12345;'), words)],
    ['stream', () => Body.stream(source('12', '345;'), words)],
    ['watched', () => Body.stream(source('12', '345;'), words).with(watcher())],
    ['frames', () => Body.fromFrames(framesOf('123'), words)],
  ];
  it.each(bodies)('gives all bytes of a body (%s) that is within the limit', async (_name, make) => {
    expect((await make().collect(6)).length).toBe(6);
  });
  it.each(bodies)('refuses a body (%s) beyond it', async (_name, make) => {
    await expect(make().collect(5)).rejects.toEqual(tooLarge);
  });

  it('uses the cheaper way of the source where there is one', async () => {
    const bytes = bytesOf('x');
    const limits: number[] = [];
    const origin: ByteSource = {
      [Symbol.asyncIterator]: () => {
        throw new Error('not to be iterated');
      },
      collect: (limit) => {
        limits.push(limit);
        return Promise.resolve(bytes);
      },
    };
    expect(await Body.stream(origin, words).collect(7)).toBe(bytes);
    expect(limits).toEqual([7]);
  });

  it('closes the source of a body that is too large', async () => {
    const origin = source('123456', 'more');
    await expect(Body.stream(origin, words).collect(5)).rejects.toEqual(tooLarge);
    expect(origin.closed()).toBe(true);
  });
});

describe('concat', () => {
  it('gives a single chunk back as it is', () => {
    const only = bytesOf('abc');
    expect(concat([only], 3)).toBe(only);
  });
  it('joins several', () => {
    expect(textOf([concat([bytesOf('ab'), bytesOf(''), bytesOf('c')], 3)])).toBe('abc');
    expect(concat([], 0)).toEqual(new Uint8Array(0));
  });
});
