export { createOffload, type Offload, type OffloadOptions } from './offload.js';
export { type Outcome, type Task, task } from './task.js';
