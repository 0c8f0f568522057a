export { type BackoffOptions, DEFAULT_BACKOFF } from './backoff.js';
export { EventBoundary } from './event-boundary.js';
export { KEEP_ALIVE_COMMENT, type KeepAlive, keepAlive, type Watched } from './keep-alive.js';
export { OwedAnswers } from './owed-answers.js';
export { type ResumableComponents, type ResumableOptions, resumable } from './resumable.js';
