import { describe, expect, it } from 'vitest';
import { EventBoundary } from '../src/event-boundary.js';

const encoder = new TextEncoder();

const cases: readonly (readonly [string, boolean])[] = [
  ['', true],
  ['\n', true],
  ['data: 1\n\n', true],
  ['data: 1\r\n\r\n', true],
  ['data: 1\r\r', true],
  ['data: 1\n\r\n', true],
  ['data: 1\r\n\n', true],
  ['data: 1\n\r', true],
  ['data: 1\n\ndata: 2\n\n', true],
  [': comment\n\n', true],
  ['data: 1', false],
  ['data: 1\n', false],
  ['data: 1\r\n', false],
  ['data: 1\r', false],
  ['data: 1\n\ndata: 2\n', false],
  ['data: 1\n\nd', false],
];

describe('EventBoundary', () => {
  it.each(cases)('knows whether %j ends between events, in one piece', (text, between) => {
    const boundary = new EventBoundary();
    boundary.push(encoder.encode(text));
    expect(boundary.between).toBe(between);
  });

  it.each(cases)('knows whether %j ends between events, cut at every byte', (text, between) => {
    const bytes = encoder.encode(text);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const boundary = new EventBoundary();
      boundary.push(bytes.subarray(0, cut));
      boundary.push(bytes.subarray(cut));
      expect(boundary.between, `cut at ${cut}`).toBe(between);
    }
    const bytewise = new EventBoundary();
    for (const byte of bytes) bytewise.push(Uint8Array.of(byte));
    expect(bytewise.between).toBe(between);
  });
});
