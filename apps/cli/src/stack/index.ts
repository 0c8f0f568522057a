import type { Stack } from './contract.js';

/** Each loads its own parts when it is called: what serves tapes has no use for what speaks to upstreams. */
const load = {
  reverse: () => import('./run-reverse.js'),
  recordStdio: () => import('./run-record-stdio.js'),
  replay: () => import('./run-replay.js'),
  verify: () => import('./run-verify.js'),
};

export const runReverse: Stack['runReverse'] = async (config, io) => (await load.reverse()).runReverse(config, io);

export const runRecordStdio: Stack['runRecordStdio'] = async (config, io) =>
  (await load.recordStdio()).runRecordStdio(config, io);

export const runReplay: Stack['runReplay'] = async (config, io) => (await load.replay()).runReplay(config, io);

export const runVerify: Stack['runVerify'] = async (config, io) => (await load.verify()).runVerify(config, io);
