import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { expect, it } from 'vitest';
import { drive } from '../src/clients.js';
import { freePort, OwnedProcess } from '../src/processes.js';
import { RawPair } from '../src/raw-pair.js';
import { everythingServer, FIXTURE_MAIN } from '../src/servers.js';
import { runShadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** Clients and servers of revision 2024-11-05: one stream for all answers, and a POST for each message. */

it('serves clients of the legacy pair at /sse', async () => {
  await using folder = await workFolder();
  const { target } = everythingServer();
  await using proxy = await startShadowcat(['reverse', '--', target.command, ...target.args], folder.path);
  const client = new Client({ name: 'e2e-sse', version: '1.0.0' });
  await client.connect(new SSEClientTransport(new URL('/sse', proxy.url)));
  const progress: number[] = [];
  const echo = await client.callTool({ name: 'echo', arguments: { message: 'hi' } });
  const long = await client.callTool(
    { name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 4 } },
    undefined,
    { onprogress: ({ progress: step }) => progress.push(step) },
  );
  await client.close();
  expect(echo.content).toEqual([{ type: 'text', text: 'Echo: hi' }]);
  expect(long.isError).toBeUndefined();
  // SDK v1 drops notifications that it reads in one piece with the answer (docs/discoveries/002); the test below demands all.
  expect(progress).toEqual([1, 2, 3, 4].slice(0, progress.length));
  const exit = await proxy.stop();
  expect({ code: exit.code, left: proxy.survivors() }).toEqual({ code: 0, left: [] });
});

it('brings all progress over the pair on both sides, in order, before the answer', async () => {
  await using folder = await workFolder();
  const command = ['--', process.execPath, FIXTURE_MAIN, 'stdio'];
  await using server = await startShadowcat(['reverse', ...command], folder.path);
  const upstream = `sse+${new URL('/sse', server.url).href}`;
  await using proxy = await startShadowcat(['reverse', '--upstream', upstream], folder.path);
  using pair = await RawPair.open(new URL('/sse', proxy.url).href);
  const init = { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'e2e', version: '1' } };
  await pair.send({ jsonrpc: '2.0', id: 0, method: 'initialize', params: init });
  expect(JSON.parse(await pair.text())).toMatchObject({ id: 0, result: {} });
  await pair.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  const params = { name: 'progress', arguments: { steps: 50, delayMs: 0 }, _meta: { progressToken: 7 } };
  await pair.send({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  for (let progress = 1; progress <= 50; progress += 1) {
    expect(JSON.parse(await pair.text())).toMatchObject({ params: { progressToken: 7, progress } });
  }
  expect(JSON.parse(await pair.text())).toMatchObject({ id: 1, result: {} });
});

it('speaks the legacy pair to a server that has nothing else', async () => {
  await using folder = await workFolder();
  const port = await freePort();
  const { target, tour } = everythingServer();
  await using server = await OwnedProcess.start({
    command: target.command,
    args: [String(target.args[0]), 'sse'],
    env: { PORT: String(port) },
  });
  await server.line(/port/, { from: 'stderr' });
  const upstream = `sse+http://127.0.0.1:${port}/sse`;
  const tape = `${folder.path}/t.tape.jsonl`;
  await using proxy = await startShadowcat(['record', '--out', tape, '--upstream', upstream], folder.path);
  const direct = await drive('v1', target, { tour });
  expect(await drive('v1', { url: proxy.url }, { tour })).toEqual(direct);
  expect((await proxy.stop()).code).toBe(0);
  const shown = await runShadowcat(['tape', 'show', tape], folder.path);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toContain('tools/call');
});
