import { task } from '@shadowcat/offload';
import { inspectHere } from './read-file.js';

/** Reads and verifies a tape on a worker thread; the input is its path. */
export const inspect = task(inspectHere);
