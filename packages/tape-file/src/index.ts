export { newDigest } from './digest.js';
export { type FileOps, nodeFiles } from './file-ops.js';
export { openTapeFile, type TapeFileComponents, type TapeFileOptions } from './file-writer.js';
export { type ListedTape, listTapes } from './list.js';
export { inspectTapeFile, type ReadFileOptions, readTapeFile, TAPE_WORKER } from './read-file.js';
export { type Recovery, recoverTape } from './recover.js';
export { loadTapeKey, type TapeKey, type TapeKeyOptions } from './tape-key.js';
export { layoutOf, PART_SUFFIX, TAPE_SUFFIX, tapeName, tapePath } from './tape-names.js';
export { tapeOpener } from './tape-opener.js';
