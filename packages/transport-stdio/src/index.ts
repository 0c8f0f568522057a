export type { ChildConnection } from './child-connection.js';
export { type ChildExit, isTransientSpawnError } from './child-errors.js';
export { clearLists } from './child-list.js';
export type { GracePeriods } from './child-process.js';
export { childEnvironment, INHERITED_VARIABLES } from './environment.js';
export type { Lineage } from './lineage.js';
export { type ChildComponents, type ChildOptions, openChild } from './open-child.js';
export { type OwnStdioComponents, type OwnStdioOptions, ownStdio } from './own-stdio.js';
export { openWatcher, type Watcher, type WatcherComponents } from './watcher.js';
