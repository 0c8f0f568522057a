import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { Host } from '../../src/host.js';
import { run } from '../../src/program.js';
import type {
  Io,
  RecordStdioConfig,
  ReplayConfig,
  ReverseConfig,
  Stack,
  VerifyConfig,
} from '../../src/stack/contract.js';

export interface Started {
  readonly what: 'reverse' | 'record-stdio' | 'replay' | 'verify';
  readonly config: ReverseConfig | RecordStdioConfig | ReplayConfig | VerifyConfig;
  readonly io: Io;
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** What the stack was asked to run. */
  readonly started: readonly Started[];
}

export interface Circumstances {
  readonly env?: Readonly<Record<string, string>>;
  /** Default: a new, empty directory. */
  readonly cwd?: string;
  readonly terminal?: boolean;
  /** Default: stdout is no terminal. */
  readonly columns?: number;
  /** What the stack does; default: ends at once with 0. */
  readonly stack?: (started: Started) => Promise<number>;
}

/** Runs a command line in this process, with a stack that only notes what it is given. */
export async function shadowcat(argv: readonly string[], circumstances: Circumstances = {}): Promise<Outcome> {
  const { env = {}, cwd = emptyDirectory(), terminal = false, columns, stack = async () => 0 } = circumstances;
  const started: Started[] = [];
  const start =
    (what: Started['what']) =>
    (config: Started['config'], io: Io): Promise<number> => {
      started.push({ what, config, io });
      return stack({ what, config, io });
    };
  const fake: Stack = {
    runReverse: start('reverse'),
    runRecordStdio: start('record-stdio'),
    runReplay: start('replay'),
    runVerify: start('verify'),
  };
  let out = '';
  let err = '';
  const host: Host = {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    cwd,
    node: process.versions.node,
    terminal,
    columns,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    stopping: () => ({ signal: new AbortController().signal, [Symbol.dispose]() {} }),
    stack: async () => fake,
  };
  const code = await run(argv, host);
  return { code, out, err, started };
}

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

/** A directory that is removed after the test, with `files` in it. */
export function emptyDirectory(files: Readonly<Record<string, string>> = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'shadowcat-cli-'));
  directories.push(directory);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}
