import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findMitmdump, MITMPROXY_FOLDER, recordFlows } from './mitmdump.js';
import { workFolder } from './shadowcat.js';

/* Makes the files anew that the test of `tape import` takes where mitmdump is not installed: `node tooling/e2e/dist/make-flows.js`. */
const mitmdump = findMitmdump();
if (mitmdump === undefined) throw new Error('mitmdump is not installed');
await using folder = await workFolder();
await recordFlows(mitmdump, folder.path);
for (const name of ['tour.flows', 'tour.har']) await copyFile(join(folder.path, name), join(MITMPROXY_FOLDER, name));
