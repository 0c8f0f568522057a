import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lossOf } from '../src/bridge/losses.js';
import { metric } from '../src/calls.js';
import { type ClientKind, drive } from '../src/clients.js';
import { compareConformance, type Requirements, runConformance } from '../src/conformance.js';
import { fixtureDirect, local } from '../src/conformance-runs.js';
import { connectModern } from '../src/modern-client.js';
import { freePort } from '../src/processes.js';
import { seen } from '../src/seen.js';
import {
  everythingServer,
  filesystemServer,
  memoryServer,
  type ServerUnderTest,
  startFixture,
} from '../src/servers.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';
import type { Transcript } from '../src/transcript.js';

/** Several real servers behind one endpoint, as one server, for clients of both eras. */

const servers: ServerUnderTest[] = [];

beforeAll(async () => {
  servers.push(everythingServer(), await filesystemServer(), await memoryServer());
});

afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
});

const commandOf = ({ target }: ServerUnderTest): string => JSON.stringify([target.command, ...target.args]);
const envOf = ({ target }: ServerUnderTest): string => JSON.stringify(target.env ?? {});

/** Real servers take seconds to start on a busy machine, and lists without them are other lists: `patience` is `list-timeout`. */
async function startCombined(scope: AsyncDisposableStack, upstreams: string, patience = '30s'): Promise<Shadowcat> {
  const folder = scope.use(await workFolder());
  const text = `upstreams:\n${upstreams}\ncombine: collisions\nstore: "memory:"\nlist-timeout: ${patience}\n`;
  await writeFile(join(folder.path, 'shadowcat.yaml'), text);
  return scope.use(await startShadowcat(['reverse'], folder.path));
}

/** Lists are other ones by intention, and so is what is said of a name that nobody has. */
function calls(steps: Transcript): unknown {
  return seen(
    steps.filter(({ request, params }) => !request.endsWith('/list') && !JSON.stringify(params).includes('no-such')),
  );
}

const optionsOf = ({ tour, roots }: ServerUnderTest) => ({ tour, ...(roots && { roots }) });

const direct = new Map<ServerUnderTest, unknown>();

/** What a client sees of a server without a proxy: asked once, for all kinds of clients. */
async function alone(server: ServerUnderTest): Promise<unknown> {
  if (direct.has(server)) return direct.get(server);
  await server.reset();
  const steps = calls(await drive('v2-legacy', server.target, optionsOf(server)));
  direct.set(server, steps);
  return steps;
}

const textOf = (result: object): string => {
  const { content } = result as { readonly content?: readonly { readonly text?: string }[] };
  return content?.[0]?.text ?? '';
};

/** Accepts connections and never answers. */
async function silentServer(scope: AsyncDisposableStack): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket.resume().on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}

describe('several servers as one', () => {
  it.each(['v1', 'v2-legacy', 'v2-pinned'] as const)(
    'serve %s as each of them alone does',
    async (kind: ClientKind) => {
      await using scope = new AsyncDisposableStack();
      const upstreams = servers.map((one) => `  ${one.name}: { command: ${commandOf(one)}, env: ${envOf(one)} }`);
      const proxy = await startCombined(scope, upstreams.join('\n'));
      for (const server of servers) {
        await server.reset();
        const combined = await drive(kind, { url: proxy.url }, optionsOf(server));
        expect(calls(combined)).toEqual(await alone(server));
      }
      const ended = await proxy.stop();
      expect({ code: ended.code, left: proxy.survivors() }).toEqual({ code: 0, left: [] });
    },
  );

  it('tell tools of the same name apart', async () => {
    await using scope = new AsyncDisposableStack();
    const folder = scope.use(await workFolder());
    const memory = servers.find(({ name }) => name === 'memory');
    if (memory === undefined) throw new Error('there is no memory server');
    const files = ['work', 'home'].map((name) => join(folder.path, `${name}.jsonl`));
    const upstreams = ['work', 'home'].map(
      (name, at) => `  ${name}: { command: ${commandOf(memory)}, env: ["MEMORY_FILE_PATH=${files[at]}"] }`,
    );
    const proxy = await startCombined(scope, upstreams.join('\n'));
    await using modern = await connectModern(proxy.url);
    const { tools } = await modern.client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['work_read_graph', 'home_read_graph']));
    expect(new Set(tools.map(({ name }) => name)).size).toBe(tools.length);
    for (const name of ['work', 'home']) {
      const entities = [{ name: `of ${name}`, entityType: 'x', observations: [] }];
      await modern.call(`${name}_create_entities`, { entities });
    }
    for (const [at, name] of ['work', 'home'].entries()) {
      const kept = await readFile(files[at] ?? '', 'utf8');
      expect(kept).toContain(`of ${name}`);
      expect(kept.trim().split('\n')).toHaveLength(1);
    }
  });

  it('do not wait for one that hangs or is gone, and announce it when it is back', async () => {
    await using scope = new AsyncDisposableStack();
    const port = await freePort();
    const everything = everythingServer();
    const upstreams = [
      `  every: { command: ${commandOf(everything)} }`,
      `  late: http://127.0.0.1:${port}/mcp`,
      `  stuck: ${await silentServer(scope)}`,
    ];
    const proxy = await startCombined(scope, upstreams.join('\n'), '3s');

    const client = new Client({ name: 'e2e-v1', version: '1.0.0' });
    // Looks again when it is told to, and only then.
    let seenLast: readonly string[] = [];
    client.setNotificationHandler(ToolListChangedNotificationSchema, async () => {
      seenLast = (await client.listTools()).tools.map(({ name }) => name);
    });
    await client.connect(new StreamableHTTPClientTransport(new URL(proxy.url)) as Transport);
    scope.defer(() => client.close());
    await using modern = await connectModern(proxy.url);
    const listening = await modern.client.listen({ toolsListChanged: true });
    scope.defer(() => listening.close());

    const before = await client.listTools();
    expect(before.tools.map(({ name }) => name)).toContain('echo');
    expect(before.tools.map(({ name }) => name)).not.toContain('pid');
    expect(textOf(await client.callTool({ name: 'echo', arguments: { message: 'hi' } }))).toBe('Echo: hi');
    for (const member of ['late', 'stuck']) {
      const missing = `shadowcat_combined_lists_missing{group="default",member="${member}"}`;
      expect(await metric(proxy.url, missing)).toBeGreaterThan(0);
    }

    const late = scope.use(await startFixture([], port));
    // It was asked again with longer and longer pauses.
    await expect.poll(() => seenLast, { timeout: 60_000 }).toContain('pid');
    await expect.poll(() => modern.listChanges()).toBeGreaterThan(0);
    const after = await client.listTools();
    expect(after.tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['every_echo', 'late_echo', 'pid']));
    expect(textOf(await client.callTool({ name: 'pid', arguments: {} }))).toBe(String(late.pid));
    const missing = 'shadowcat_combined_lists_missing{group="default",member="late"}';
    await expect.poll(() => metric(proxy.url, missing)).toBe(0);

    await late.stop({ signal: 'SIGKILL' });
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['every_echo', 'late_echo', 'pid']),
    );
    await expect(client.callTool({ name: 'pid', arguments: {} })).rejects.toThrow(/127\.0\.0\.1/);
    // By the name that it had before the other one came with its own.
    expect(textOf(await client.callTool({ name: 'echo', arguments: { message: 'still' } }))).toBe('Echo: still');
  }, 120_000);

  it('have a session of their own for each client, which ends with it', async () => {
    await using scope = new AsyncDisposableStack();
    const everything = everythingServer();
    const names = ['one', 'two'];
    const proxy = await startCombined(
      scope,
      names.map((name) => `  ${name}: { command: ${commandOf(everything)} }`).join('\n'),
    );
    const connect = async () => {
      const client = new Client({ name: 'e2e-v1', version: '1.0.0' });
      const transport = new StreamableHTTPClientTransport(new URL(proxy.url));
      await client.connect(transport as Transport);
      await client.listTools();
      return { client, transport };
    };
    const opened = [await connect(), await connect(), await connect()];
    // One more of each was asked for its revision.
    expect(await metric(proxy.url, 'shadowcat_children')).toBe(8);
    for (const { client, transport } of opened) {
      await transport.terminateSession();
      await client.close();
    }
    await expect.poll(() => metric(proxy.url, 'shadowcat_children')).toBe(2);
  });

  it.each<Requirements>(['2025-11-25', '2026-07-28'])(
    'do in the official suite of %s what the bridge can do',
    async (requirements) => {
      await using scope = new AsyncDisposableStack();
      const fixture = scope.use(await startFixture());
      const [memory] = servers.filter(({ name }) => name === 'memory');
      if (memory === undefined) throw new Error('there is no memory server');
      const proxy = await startCombined(
        scope,
        `  fixture: ${fixture.url}\n  memory: { command: ${commandOf(memory)} }`,
      );
      const [alone, combined] = await Promise.all([
        fixtureDirect(requirements),
        runConformance({ url: local(proxy.url), requirements }),
      ]);
      const worse = compareConformance(alone, combined);
      // Modern clients need no bridge in front of a modern server.
      const left = worse.filter((one) => requirements === '2026-07-28' || lossOf(requirements, one) === undefined);
      expect(left).toEqual([]);
    },
    120_000,
  );
});
