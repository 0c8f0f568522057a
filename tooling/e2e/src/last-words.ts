// For every test file: a test that fails shows what the processes said last that it worked with, so that the log tells its cause.
import { afterEach, beforeEach } from 'vitest';
import { forgetEnded, lastWords } from './processes.js';

beforeEach(forgetEnded);
afterEach(({ task }) => {
  if (task.result?.state === 'fail') for (const words of lastWords()) console.error(words);
});
