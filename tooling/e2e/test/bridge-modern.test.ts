import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClientKind, drive } from '../src/clients.js';
import { seen } from '../src/seen.js';
import {
  everythingServer,
  filesystemServer,
  memoryServer,
  type ServerUnderTest,
  startEverything,
} from '../src/servers.js';
import { startShadowcat, workFolder } from '../src/shadowcat.js';
import type { Transcript } from '../src/transcript.js';

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
