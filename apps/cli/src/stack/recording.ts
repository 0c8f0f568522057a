import { dirname } from 'node:path';
import { setImmediate } from 'node:timers';
import type { Clock } from '@shadowcat/kernel';
import { type Recorder, type RedactionOptions, recognising, recorder, secretValues, type Tape } from '@shadowcat/tape';
import {
  findTapeKey,
  loadTapeKey,
  openRedaction,
  type Redaction,
  TAPE_KEY_VARIABLE,
  type TapeKey,
  tapeOpener,
} from '@shadowcat/tape-file';
import { processMark, runsStill } from '@shadowcat/transport-stdio';
import { CliError } from '../errors.js';
import { VERSION } from '../version.js';
import type { Io, ProxyConfig } from './contract.js';
import type { Owned } from './owned.js';

/** The redaction of these tapes. `writes`: placeholders will be written, so where the tapes have no key there has to be one. */
export async function redactionOf(
  tapes: readonly Tape[],
  config: { readonly tapes: readonly string[]; readonly redaction: RedactionOptions; readonly writes?: boolean },
  io: Io,
): Promise<Pick<Redaction, 'redactor' | 'keyId'>> {
  const ids = new Set(tapes.flatMap(({ head }) => head.redaction?.key ?? []));
  const directories = [io.cwd, ...config.tapes.map((path) => dirname(path))];
  const value = io.env[TAPE_KEY_VARIABLE];
  const makes = config.writes === true && ids.size === 0;
  const found = makes ? loadTapeKey({ directory: io.cwd, value }) : findTapeKey({ directories, ids, value });
  const key = warned(await found, io);
  const { redactor, keyId } = openRedaction(config.redaction, key);
  return { redactor: recognising(redactor, key.hmac, tapes), keyId };
}

function warned(key: TapeKey, io: Io): TapeKey {
  if (key.warning !== undefined) io.log.warn({}, key.warning);
  return key;
}

/** What the proxy itself was given to keep: it would be a secret wherever a server repeats it. */
export function configuredSecrets({
  upstream,
  targets,
}: {
  readonly upstream: Pick<ProxyConfig['upstream'], 'headers'>;
  readonly targets: ProxyConfig['targets'];
}): string[] {
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
  const open = opened(() =>
    tapeOpener(
      config.path,
      { durable: config.durable, onFull: config.onFull, existing: components.existing },
      { clock, log, runs: runsStill },
    ),
  );
  const recording = recorder(
    { layout: config.kind, required: config.required, by: `shadowcat ${VERSION}`, process: processMark() },
    {
      open,
      redactor: redaction.redactor,
      redactLater: redaction.later,
      keyId: redaction.keyId,
      defer: atEndOfTurn,
      clock,
      log,
    },
  );
  owned.add('the recorder', () => recording.close());
  return recording;
}

function atEndOfTurn(work: () => void): void {
  setImmediate(work);
}

/** Where no tape can be made at the start, none was meant to be: a fault of the configuration. Later ones do not end anything. */
function opened<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
