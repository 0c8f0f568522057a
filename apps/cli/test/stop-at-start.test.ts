import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RecordStdioConfig, ReplayConfig, ReverseConfig } from '../src/stack/contract.js';
import { runRecordStdio, runReplay, runReverse } from '../src/stack/index.js';
import { emptyDirectory, type Started, shadowcat } from './support/fake-host.js';

const HEAD = '{"k":"head","v":1,"form":"capture","requires":[],"scope":"all","at":"2026-01-01T00:00:00.000Z"}\n';

/** The real stack, asked to stop before it has begun. */
function stoppedAtOnce({ what, config, io }: Started): Promise<number> {
  const stopping = { ...io, stop: AbortSignal.abort('SIGTERM') };
  if (what === 'reverse') return runReverse(config as ReverseConfig, stopping);
  if (what === 'replay') return runReplay(config as ReplayConfig, stopping);
  return runRecordStdio(config as RecordStdioConfig, stopping);
}

describe('a stop that comes while it starts', () => {
  it.each(['reverse', 'record'])('keeps %s from listening', async (command) => {
    const cwd = emptyDirectory();
    const { code, out, err } = await shadowcat(
      [
        command,
        ...(command === 'record' ? ['--out', 'tapes'] : []),
        '--listen',
        '127.0.0.1:0',
        '--store',
        'memory:',
        '--upstream',
        'http://127.0.0.1:9/mcp',
      ],
      { cwd, stack: stoppedAtOnce },
    );
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(err).not.toContain('listening');
  });

  it('keeps replay from listening; its summary says that nobody came', async () => {
    const cwd = emptyDirectory({ 'a.tape.jsonl': HEAD });
    const { out, err } = await shadowcat(['replay', join(cwd, 'a.tape.jsonl'), '--listen', '127.0.0.1:0'], {
      cwd,
      stack: stoppedAtOnce,
    });
    expect(out).toBe('');
    expect(err).not.toContain('replaying on');
  });
});
