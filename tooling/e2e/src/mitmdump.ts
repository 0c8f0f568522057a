import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ClientKind, drive } from './clients.js';
import { OwnedProcess } from './processes.js';
import { startFixture } from './servers.js';
import type { Tour } from './tours.js';
import type { Transcript } from './transcript.js';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** What belongs to mitmproxy in this package: an addon, and files that it recorded. */
export const MITMPROXY_FOLDER = join(ROOT, 'tooling', 'e2e', 'mitmproxy');

/** The clients whose traffic is recorded, one after the other: one of each era. */
export const RECORDED_CLIENTS: readonly ClientKind[] = ['v1', 'v2-pinned'];

/** What is asked while mitmdump listens, the same each time. The list of the fixture's tools changes too often to be in a file. */
export const recordedTour: Tour = async (scribe) => {
  await scribe.listPrompts();
  await scribe.call('echo', { text: 'Grüße, 世界 ☃', list: [1, 2.5, null, true] });
  await Promise.all([scribe.call('echo', { n: 1 }), scribe.call('echo', { n: 2 })]);
  await scribe.call('progress', { steps: 5, delayMs: 5 }, { progress: true });
  await scribe.call('log', { message: 'hello', level: 'warning', count: 3 });
  await scribe.call('test_sampling', { prompt: 'Say hello' });
  await scribe.call('list_roots', { stream: 'call' });
  if (scribe.era === 'legacy') await scribe.call('list_roots', { stream: 'get' });
  await scribe.call('test_input_required_result_multi_round');
  await scribe.call('no_such_tool');
};

/** Where mitmdump is: on the PATH, or where `.ci/run` puts it. `undefined`: nowhere. */
export function findMitmdump(): string | undefined {
  const own = join(ROOT, '.tools', 'mitmdump');
  if (existsSync(own)) return own;
  return spawnSync('mitmdump', ['--version']).status === 0 ? 'mitmdump' : undefined;
}

/** Where the clients connect to: in front of the fixture. */
export interface Flows {
  readonly transcripts: ReadonlyMap<ClientKind, Transcript>;
}

/** Records the tour of each client into `tour.flows` and `tour.har` of a folder: the fixture behind mitmdump. */
export async function recordFlows(mitmdump: string, folder: string): Promise<Flows> {
  await using fixture = await startFixture();
  await using dump = await OwnedProcess.start({
    command: mitmdump,
    args: [
      ...['--mode', `reverse:${new URL(fixture.url).origin}`, '--listen-host', '127.0.0.1', '--listen-port', '0'],
      ...['--set', `confdir=${folder}`, '-w', join(folder, 'tour.flows')],
      ...[
        '-s',
        join(MITMPROXY_FOLDER, 'keep_streams.py'),
        ...harDump(),
        '--set',
        `hardump=${join(folder, 'tour.har')}`,
      ],
    ],
    // The addon lies in the checkout, where nothing is to be left.
    env: { PYTHONUNBUFFERED: '1', PYTHONDONTWRITEBYTECODE: '1' },
  });
  const [, port] = /:(\d+)\D*$/.exec(await dump.line(/listening at/)) ?? [];
  const transcripts = new Map<ClientKind, Transcript>();
  for (const kind of RECORDED_CLIENTS)
    transcripts.set(kind, await drive(kind, { url: `http://127.0.0.1:${port}/mcp` }, { tour: recordedTour }));
  await dump.stop({ signal: 'SIGINT' });
  return { transcripts };
}

/** The option `hardump` is mitmproxy's own from version 10 on; before, it is that of an example that comes with it. */
function harDump(): string[] {
  const examples = 'usr/share/doc/mitmproxy/examples/contrib/har_dump.py';
  const script = [join(ROOT, '.tools', 'mitmproxy', examples), join('/', examples)].find((path) => existsSync(path));
  return script === undefined ? [] : ['-s', script];
}
