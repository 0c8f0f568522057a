import { task } from '@shadowcat/offload';
import { inspectHere } from './read-file.js';
import { redactHere } from './redaction.js';

/** Reads and verifies a tape on a worker thread; the input is its path. */
export const inspect = task(inspectHere);

/** Redacts a large JSON text on a worker thread. */
export const redact = task(redactHere);
