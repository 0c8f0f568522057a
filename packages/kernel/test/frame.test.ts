import { describe, expect, it } from 'vitest';
import { Frame } from '../src/frame.js';
import { opaqueFraming } from '../src/framing.js';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('a frame', () => {
  it.each([
    ['text', new Frame({ text: '{"id":1.0}' }), '{"id":1.0}', { id: 1 }],
    ['bytes', new Frame({ bytes: bytesOf('{"é":1}') }), '{"é":1}', { é: 1 }],
    ['text and bytes', new Frame({ text: '1', bytes: bytesOf('data: 1\n\n') }), '1', 1],
    ['no message', new Frame({ text: null, bytes: bytesOf(':\n') }), undefined, undefined],
    ['nothing', new Frame({}), undefined, undefined],
    ['text that is no JSON', new Frame({ text: '{' }), '{', undefined],
    ['empty text', new Frame({ text: '' }), '', undefined],
  ])('made from %s', (_name, frame, text, message) => {
    expect(frame.text).toBe(text);
    expect(frame.message).toEqual(message);
  });

  it('parses its message once', () => {
    const frame = new Frame({ text: '{"a":[]}' });
    expect(frame.message).toBe(frame.message);
  });

  it('keeps its place in the stream and loses its bytes when it is replaced', () => {
    const sse = { id: '7', event: 'message', retry: 10 };
    const frame = new Frame({ text: '1', bytes: bytesOf('id: 7\ndata: 1\n\n'), sse }).replace('2');
    expect(frame.text).toBe('2');
    expect(frame.bytes).toBeUndefined();
    expect(frame.sse).toBe(sse);
    expect(new Frame({ text: '1' }).replace('2').sse).toBeUndefined();
  });

  it('keeps a key named __proto__ to itself', () => {
    const message = new Frame({ text: '{"__proto__":{"polluted":true}}' }).message as object;
    expect(Object.keys(message)).toEqual(['__proto__']);
    expect('polluted' in message).toBe(false);
    expect('polluted' in {}).toBe(false);
  });
});

describe('the opaque framing', () => {
  it('makes a frame without a message of each chunk', () => {
    const chunk = bytesOf('{}');
    const decoder = opaqueFraming.decoder();
    const frames = decoder.push(chunk);
    expect(frames.map((frame) => [frame.bytes, frame.text])).toEqual([[chunk, undefined]]);
    expect(decoder.end()).toEqual([]);
    expect(opaqueFraming.encode(frames[0] as Frame)).toBe(chunk);
    expect(opaqueFraming.encode(new Frame({ text: 'x' }))).toEqual(new Uint8Array(0));
  });
});
