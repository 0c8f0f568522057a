import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClientKind, drive } from '../src/clients.js';
import {
  everythingServer,
  filesystemServer,
  memoryServer,
  type ServerUnderTest,
  startEverything,
} from '../src/servers.js';
import { startShadowcat, workFolder } from '../src/shadowcat.js';
import type { Step, Transcript } from '../src/transcript.js';

/**
 * Clients of 2026-07-28 in front of servers that only speak legacy revisions: what they get over the bridge is what a legacy
 * client gets from the server directly.
 */

let everything: Awaited<ReturnType<typeof startEverything>>;

beforeAll(async () => {
  everything = await startEverything();
});

afterAll(async () => {
  await everything[Symbol.asyncDispose]();
});

const MODERN: readonly ClientKind[] = ['v2-pinned', 'v2-auto'];
const options = (server: ServerUnderTest) => ({ tour: server.tour, ...(server.roots && { roots: server.roots }) });

/** Makes the tour through the real binary, and checks that it ends in good order. */
async function overTheBridge(kind: ClientKind, server: ServerUnderTest, upstream?: string): Promise<Transcript> {
  await using folder = await workFolder();
  const { command, args, env = {} } = server.target;
  const variables = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  const behind = upstream === undefined ? [...variables, '--', command, ...args] : ['--upstream', upstream];
  await server.reset();
  await using proxy = await startShadowcat(['reverse', ...behind], folder.path);
  const transcript = await drive(kind, { url: proxy.url }, options(server));
  const ended = await proxy.stop();
  expect({ code: ended.code, left: proxy.survivors() }).toEqual({ code: 0, left: [] });
  return transcript;
}

async function directly(server: ServerUnderTest, upstream?: string): Promise<Transcript> {
  await server.reset();
  return drive('v2-legacy', upstream === undefined ? server.target : { url: upstream }, options(server));
}

interface Seen {
  readonly steps: readonly unknown[];
  readonly asked: readonly string[];
}

/**
 * What is to be compared: not what only one era has (cache hints; how tools do as tasks), nor the progress that the client
 * itself adds for each question. A server that asks outside of its calls is answered with one of them, so when it asked counts
 * for the whole tour only.
 */
function seen(steps: Transcript): Seen {
  const asked = steps.flatMap((step) => (step.asked ?? []).map(({ method }) => method)).sort();
  const plain = steps.map(({ asked: _asked, progress, answer, error, ...step }: Step) => ({
    ...step,
    answer: withoutEra(answer),
    error: errorIn(error),
    progress: progress?.filter((note) => !JSON.stringify(note).includes('Fulfilling input required')),
  }));
  return { steps: plain, asked };
}

/** "Method not found" is HTTP 404 in the modern era, whose body the client puts into its own error. */
function errorIn(error: Step['error']): unknown {
  const body = error === undefined ? undefined : /^Error POSTing to endpoint: (\{.*\})$/.exec(error.message)?.[1];
  return body === undefined ? error : (JSON.parse(body) as { error: unknown }).error;
}

const OF_ONE_ERA: ReadonlySet<string> = new Set(['ttlMs', 'cacheScope', 'execution']);

function withoutEra(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEra);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([name]) => !OF_ONE_ERA.has(name));
  return Object.fromEntries(kept.map(([name, own]) => [name, withoutEra(own)]));
}

describe.each(MODERN)('%s in front of a legacy server', (kind) => {
  it('server-everything over HTTP', async () => {
    const server = everythingServer();
    expect(seen(await overTheBridge(kind, server, everything.url))).toEqual(
      seen(await directly(server, everything.url)),
    );
  });

  it('server-everything over stdio', async () => {
    const server = everythingServer();
    expect(seen(await overTheBridge(kind, server))).toEqual(seen(await directly(server)));
  });

  it('server-filesystem over stdio', async () => {
    await using server = await filesystemServer();
    expect(seen(await overTheBridge(kind, server))).toEqual(seen(await directly(server)));
  });

  it('server-memory over stdio', async () => {
    await using server = await memoryServer();
    expect(seen(await overTheBridge(kind, server))).toEqual(seen(await directly(server)));
  });
});
