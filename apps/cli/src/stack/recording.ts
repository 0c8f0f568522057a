import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, type Log, ProxyError } from '@shadowcat/kernel';
import { createRedactor, type Recorder, type Redactor, recorder, type Tape } from '@shadowcat/tape';
import { findTapeKey, loadTapeKey, makeDirectory, type TapeKey, tapeOpener } from '@shadowcat/tape-file';
import { VERSION } from '../version.js';
import type { Io, RecordingConfig } from './contract.js';
import type { Owned } from './owned.js';

/** How secrets are hidden, and the fingerprint of the key that does it. */
export interface Redaction {
  readonly redactor: Redactor;
  readonly keyId: string;
}

const KEY_VARIABLE = 'SHADOWCAT_TAPE_KEY';

/** The redaction of these tapes. */
export async function redactionOf(tapes: readonly Tape[], paths: readonly string[], io: Io): Promise<Redaction> {
  const ids = new Set(tapes.flatMap(({ head }) => head.redaction?.key ?? []));
  const directories = [io.cwd, ...paths.map((path) => dirname(path))];
  return redactionWith(await findTapeKey({ directories, ids, value: io.env[KEY_VARIABLE] }), io);
}

function redactionWith(key: TapeKey, io: Io): Redaction {
  if (key.warning !== undefined) io.log.warn({}, key.warning);
  return { redactor: createRedactor({}, key.hmac), keyId: key.id };
}

/** Opens the recorder; its tapes are finished when `owned` closes. */
export async function openRecorder(
  config: RecordingConfig,
  components: { readonly io: Io; readonly clock: Clock; readonly owned: Owned; readonly existing: 'replace' | 'keep' },
): Promise<Recorder> {
  const { io, clock, owned } = components;
  const { log } = io;
  const { redactor, keyId } = redactionWith(await loadTapeKey({ directory: io.cwd, value: io.env[KEY_VARIABLE] }), io);
  await checkFolder(config, log);
  const open = tapeOpener(config.path, { durable: config.durable, existing: components.existing }, { clock, log });
  const recording = recorder(
    { layout: config.kind, required: config.required, by: `shadowcat ${VERSION}` },
    { open, redactor, keyId, clock, log },
  );
  owned.add('the recorder', () => recording.close());
  return recording;
}

/** Says at the start that tapes cannot be written, and not only when the first session comes. */
async function checkFolder(config: RecordingConfig, log: Log): Promise<void> {
  const folder = config.kind === 'file' ? dirname(config.path) : config.path;
  try {
    await makeDirectory(folder);
    await access(folder, constants.W_OK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `tapes cannot be written to ${folder}: ${reason}`;
    if (config.required) throw new ProxyError('recorder_failed', message, { cause: error });
    log.error({ folder }, `${message}. Traffic goes on unrecorded until they can`);
  }
}
