export { runRecordStdio } from './run-record-stdio.js';
export { runReplay } from './run-replay.js';
export { runReverse } from './run-reverse.js';
export { runVerify } from './run-verify.js';
