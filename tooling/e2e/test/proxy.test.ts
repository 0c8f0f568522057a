import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClientKind, drive } from '../src/clients.js';
import {
  everythingServer,
  filesystemServer,
  fixtureServer,
  memoryServer,
  type ServerUnderTest,
  startEverything,
  startFixture,
} from '../src/servers.js';
import { shadowcat, startShadowcat, tapesIn, workFolder } from '../src/shadowcat.js';
import type { Target } from '../src/test-client.js';
import type { Transcript } from '../src/transcript.js';

/**
 * Real clients against real servers: what a client gets through the proxy, and again from the tape that was recorded
 * meanwhile, equals what it gets from the server directly.
 */

let fixture: Awaited<ReturnType<typeof startFixture>>;
let everything: Awaited<ReturnType<typeof startEverything>>;

beforeAll(async () => {
  [fixture, everything] = await Promise.all([startFixture(), startEverything()]);
});

afterAll(async () => {
  await Promise.all([fixture[Symbol.asyncDispose](), everything[Symbol.asyncDispose]()]);
});

async function tour(kind: ClientKind, target: Target, server: ServerUnderTest): Promise<Transcript> {
  await server.reset();
  return drive(kind, target, { tour: server.tour, ...(server.roots && { roots: server.roots }) });
}

const words = (target: ServerUnderTest['target']): string[] => ['--', target.command, ...target.args];
const envFlags = (server: ServerUnderTest): string[] =>
  Object.entries(server.target.env ?? {}).flatMap(([name, value]) => ['--env', `${name}=${value}`]);

/** Direct, through the proxy while it records, and from the tape: three times the same. */
async function threeWays(kind: ClientKind, server: ServerUnderTest, upstream?: string): Promise<void> {
  await using folder = await workFolder();
  const direct = await tour(kind, upstream === undefined ? server.target : { url: upstream }, server);
  const behind = upstream === undefined ? words(server.target) : ['--upstream', upstream];
  const tape = `${folder.path}/t.tape.jsonl`;

  // What passes is compared with what the server says: a bridge would serve `auto` clients in the modern era.
  const flags = ['--bridge', 'off', '--record', tape, ...envFlags(server)];
  await using proxy = await startShadowcat(['reverse', ...flags, ...behind], folder.path);
  expect(await tour(kind, { url: proxy.url }, server)).toEqual(direct);
  const ended = await proxy.stop();
  expect({ code: ended.code, left: proxy.survivors() }).toEqual({ code: 0, left: [] });

  await using replay = await startShadowcat(['replay', tape], folder.path);
  expect(await tour(kind, { url: replay.url }, server)).toEqual(direct);
  const replayed = await replay.stop();
  expect({ code: replayed.code, stderr: replayed.code === 0 ? '' : replayed.stderr }).toEqual({ code: 0, stderr: '' });
}

/** Each has processes of its own, and waits for them for most of the time; together they take longer than alone. */
const AT_ONCE = { concurrent: true, timeout: 120_000 };

const kinds: readonly ClientKind[] = ['v1', 'v2-legacy', 'v2-auto', 'v2-pinned'];

describe.each(kinds)('%s through reverse and from its tape', AT_ONCE, (kind) => {
  it('the fixture over HTTP', () => threeWays(kind, fixtureServer(), fixture.url));
  it('the fixture over stdio', () => threeWays(kind, fixtureServer()));
});

describe.each(kinds.slice(0, 3))('%s through reverse and from its tape', AT_ONCE, (kind) => {
  it('server-everything over HTTP', () => threeWays(kind, everythingServer(), everything.url));
  it('server-everything over stdio', () => threeWays(kind, everythingServer()));
  it('server-filesystem over stdio', async () => {
    await using server = await filesystemServer();
    await threeWays(kind, server);
  });
  it('server-memory over stdio', async () => {
    await using server = await memoryServer();
    await threeWays(kind, server);
  });
});

/** A client may start its command more than once, to find out the server's revision; each start makes a tape. */
describe.each(kinds)('%s launching shadowcat itself', AT_ONCE, (kind) => {
  it('records with --stdio and replays with --stdio', async () => {
    await using folder = await workFolder();
    const server = fixtureServer();
    const direct = await tour(kind, server.target, server);
    const tape = `${folder.path}/s.tape.jsonl`;
    const record = shadowcat(['record', '--stdio', '--out', tape, ...words(server.target)], folder.path);
    expect(await tour(kind, record, server)).toEqual(direct);
    const tapes = await tapesIn(folder.path);
    expect(tapes).toContain(tape);
    expect(await tour(kind, shadowcat(['replay', '--stdio', ...tapes], folder.path), server)).toEqual(direct);
  });

  it('replays over HTTP what was recorded over stdio, and the other way round', async () => {
    await using folder = await workFolder();
    const server = fixtureServer();
    const direct = await tour(kind, server.target, server);
    const tape = `${folder.path}/s.tape.jsonl`;
    await tour(kind, shadowcat(['record', '--stdio', '--out', tape, ...words(server.target)], folder.path), server);
    await using replay = await startShadowcat(['replay', ...(await tapesIn(folder.path))], folder.path);
    expect(await tour(kind, { url: replay.url }, server)).toEqual(direct);
    const other = `${folder.path}/h.tape.jsonl`;
    await using proxy = await startShadowcat(['record', '--out', other, ...words(server.target)], folder.path);
    await tour(kind, { url: proxy.url }, server);
    await proxy.stop();
    expect(await tour(kind, shadowcat(['replay', '--stdio', other], folder.path), server)).toEqual(direct);
  });
});
