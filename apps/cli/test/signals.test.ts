import { EventEmitter } from 'node:events';
import { silentLog } from '@shadowcat/kernel';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CLOSING_MS, exitThough, type SignalSource, stopOnSignals } from '../src/signals.js';

class FakeProcess extends EventEmitter implements SignalSource {
  readonly exits: number[] = [];
  exit(code: number): void {
    this.exits.push(code);
  }
  getActiveResourcesInfo(): string[] {
    return ['TCPSocketWrap', 'Timeout', 'TCPSocketWrap'];
  }
}

afterEach(() => {
  vi.useRealTimers();
});

describe('signals', () => {
  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ])('%s asks for an orderly end; another exits at once with %d', (signal, code) => {
    const source = new FakeProcess();
    using stopping = stopOnSignals(source, { drainMs: 1000, log: silentLog });
    expect(stopping.signal.aborted).toBe(false);
    source.emit(signal);
    expect(stopping.signal.reason).toBe(signal);
    expect(source.exits).toEqual([]);
    source.emit(signal);
    expect(source.exits).toEqual([code]);
  });

  it('reload on SIGHUP where that is wanted, as often as it comes', () => {
    const source = new FakeProcess();
    let reloads = 0;
    const reload = (): void => {
      reloads += 1;
    };
    using stopping = stopOnSignals(source, { drainMs: 1000, log: silentLog, reload });
    source.emit('SIGHUP');
    source.emit('SIGHUP');
    expect({ reloads, aborted: stopping.signal.aborted, exits: source.exits }).toEqual({
      reloads: 2,
      aborted: false,
      exits: [],
    });
    source.emit('SIGTERM');
    expect(stopping.signal.aborted).toBe(true);
  });

  it('end a shutdown that hangs, with a line that says what is left', () => {
    vi.useFakeTimers();
    const source = new FakeProcess();
    const errors: unknown[] = [];
    const log = { ...silentLog, error: (details: object, message: string) => errors.push([details, message]) };
    using _stopping = stopOnSignals(source, { drainMs: 1000, log });
    source.emit('SIGTERM');
    vi.advanceTimersByTime(1000 + CLOSING_MS - 1);
    expect(source.exits).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(source.exits).toEqual([1]);
    expect(errors).toEqual([
      [{ left: { TCPSocketWrap: 2, Timeout: 1 } }, 'the shutdown took too long: exiting with things left open'],
    ]);
  });

  it('are left alone again afterwards, and no timer stays', () => {
    vi.useFakeTimers();
    const source = new FakeProcess();
    const stopping = stopOnSignals(source, { drainMs: 1000, log: silentLog });
    source.emit('SIGTERM');
    stopping[Symbol.dispose]();
    expect(source.eventNames()).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('a process that something keeps alive after its end names it and exits with its own code', () => {
  vi.useFakeTimers();
  const source = new FakeProcess();
  let told = '';
  const tell = (text: string): void => {
    told += text;
  };
  exitThough(source, { code: 4, tell });
  vi.advanceTimersByTime(CLOSING_MS);
  expect(source.exits).toEqual([4]);
  expect(told).toBe('shadowcat: ended, but these were still open: 2 TCPSocketWrap, 1 Timeout\n');
});
