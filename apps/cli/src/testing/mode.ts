import { type Environment, MODE_VARIABLE } from '../config/environment.js';
import { CliError } from '../errors.js';

export const TAPE_MODES = ['replay', 'record', 'once', 'live'] as const;

/**
 * What tapes do in a test run. `replay`: answers come from the tape and from nowhere else. `record`: they come from the server
 * and become the new tape. `once`: `record` while there is no tape, else `replay`. `live`: they come from the server, and there is
 * no tape.
 */
export type TapeMode = (typeof TAPE_MODES)[number];

/**
 * The mode of this run. On CI (`CI` is set) nothing ever goes to a server: `record` and `live` are refused with a `CliError`
 * rather than taken for something else, because whoever set them expects what will not happen; `once` is `replay`.
 */
export function tapeMode(env: Environment): TapeMode {
  const given = env[MODE_VARIABLE] ?? '';
  const mode = given === '' ? 'replay' : TAPE_MODES.find((known) => known === given);
  if (mode === undefined) {
    throw new CliError(`${MODE_VARIABLE}: "${given}" is none of ${TAPE_MODES.join(', ')}`);
  }
  if (mode === 'replay' || !onCi(env)) return mode;
  if (mode === 'once') return 'replay';
  const what = mode === 'record' ? 'records a tape' : 'calls a server';
  throw new CliError(
    `${MODE_VARIABLE}=${mode}: CI is set, and a run on CI never ${what}\n` +
      'record on a machine of your own and commit the tape, or unset CI there',
  );
}

function onCi(env: Environment): boolean {
  const value = env['CI'] ?? '';
  return value !== '' && value !== '0' && value.toLowerCase() !== 'false';
}
