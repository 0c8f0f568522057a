import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, type Log, ProxyError } from '@shadowcat/kernel';
import { createRedactor, type Recorder, type Redactor, recorder } from '@shadowcat/tape';
import { loadTapeKey, makeDirectory, tapeOpener } from '@shadowcat/tape-file';
import { VERSION } from '../version.js';
import type { Io, RecordingConfig } from './contract.js';
import type { Owned } from './owned.js';

/** The project's redaction, found the same way by record and replay. */
export async function openRedactor(io: Io): Promise<{ readonly redactor: Redactor; readonly keyId: string }> {
  const key = await loadTapeKey({ directory: io.cwd, value: io.env['SHADOWCAT_TAPE_KEY'] });
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
  const { redactor, keyId } = await openRedactor(io);
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
