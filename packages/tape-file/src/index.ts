export { loadBlobs, writeWhole } from './blob-files.js';
export { newDigest } from './digest.js';
export { makeDirectory } from './directories.js';
export { type FileIdentity, type FileOps, nodeFiles } from './file-ops.js';
export { openTapeFile, type TapeFileComponents, type TapeFileOptions } from './file-writer.js';
export { type FormatOptions, type Formatted, formatTapeFile } from './format-file.js';
export { type ImportedFile, type ImportFileOptions, importFile, STDIN_NAME } from './import-file.js';
export { lintTapeFile } from './lint-file.js';
export { type ListedTape, listTapes, tapesIn } from './list.js';
export { type Packed, packTapeFiles, scanOverlays } from './pack-file.js';
export { packProblem } from './pack-names.js';
export { inspectTapeFile, type ReadFileOptions, readTapeFile, TAPE_WORKER } from './read-file.js';
export { type Recovery, recoverTape } from './recover.js';
export { openRedaction, type Redaction } from './redaction.js';
export { type RedactedFile, redactTapeFile, scanTapeFile, type TapeSecret } from './secrets-file.js';
export {
  type FindTapeKeyOptions,
  findTapeKey,
  loadTapeKey,
  TAPE_KEY_VARIABLE,
  type TapeKey,
  type TapeKeyOptions,
} from './tape-key.js';
export { layoutOf, PART_SUFFIX, TAPE_SUFFIX, tapeName, tapePath } from './tape-names.js';
export { tapeOpener } from './tape-opener.js';
export { beingWritten } from './tape-owner.js';
export { type Unpacked, unpackTapeFile } from './unpack-file.js';
export { updateTapeFile } from './update-file.js';
