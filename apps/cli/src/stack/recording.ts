import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, type Log, ProxyError } from '@shadowcat/kernel';
import { type Recorder, type RedactionOptions, recognising, recorder, secretValues, type Tape } from '@shadowcat/tape';
import {
  findTapeKey,
  loadTapeKey,
  makeDirectory,
  openRedaction,
  type Redaction,
  TAPE_KEY_VARIABLE,
  type TapeKey,
  tapeOpener,
} from '@shadowcat/tape-file';
import { VERSION } from '../version.js';
import type { Io, ProxyConfig, RecordingConfig } from './contract.js';
import type { Owned } from './owned.js';

/** The redaction of these tapes. */
export async function redactionOf(
  tapes: readonly Tape[],
  config: { readonly tapes: readonly string[]; readonly redaction: RedactionOptions },
  io: Io,
): Promise<Pick<Redaction, 'redactor' | 'keyId'>> {
  const ids = new Set(tapes.flatMap(({ head }) => head.redaction?.key ?? []));
  const directories = [io.cwd, ...config.tapes.map((path) => dirname(path))];
  const key = warned(await findTapeKey({ directories, ids, value: io.env[TAPE_KEY_VARIABLE] }), io);
  const { redactor, keyId } = openRedaction(config.redaction, key);
  return { redactor: recognising(redactor, key.hmac, tapes), keyId };
}

function warned(key: TapeKey, io: Io): TapeKey {
  if (key.warning !== undefined) io.log.warn({}, key.warning);
  return key;
}

/** What the proxy itself was given to keep: it would be a secret wherever a server repeats it. */
function configuredSecrets({ upstream, targets }: Pick<ProxyConfig, 'upstream' | 'targets'>): string[] {
  return [
    ...secretValues(upstream.headers),
    ...targets.flatMap((target) => secretValues((target.kind === 'url' ? target.headers : target.env) ?? {})),
  ];
}

/** Opens the recorder, if there is something to record; its tapes are finished when `owned` closes. */
export async function openRecorder(
  proxy: Pick<ProxyConfig, 'recording' | 'upstream' | 'targets'>,
  components: { readonly io: Io; readonly clock: Clock; readonly owned: Owned; readonly existing: 'replace' | 'keep' },
): Promise<Recorder | undefined> {
  const { recording: config } = proxy;
  if (config === undefined) return undefined;
  const { io, clock, owned } = components;
  const { log } = io;
  const key = warned(await loadTapeKey({ directory: io.cwd, value: io.env[TAPE_KEY_VARIABLE] }), io);
  const redaction = openRedaction({ ...config.redaction, values: configuredSecrets(proxy) }, key);
  owned.add('the worker of the recorder', () => redaction.close());
  await checkFolder(config, log);
  const open = tapeOpener(config.path, { durable: config.durable, existing: components.existing }, { clock, log });
  const recording = recorder(
    { layout: config.kind, required: config.required, by: `shadowcat ${VERSION}` },
    { open, redactor: redaction.redactor, redactLater: redaction.later, keyId: redaction.keyId, clock, log },
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
