import { describe, expect, it } from 'vitest';
import { LineClient } from '../src/line-client.js';
import { OwnedProcess } from '../src/processes.js';
import { everythingServer } from '../src/servers.js';
import { shadowcat, workFolder } from '../src/shadowcat.js';

/** How a proxy ends that a client launched, and talks to over its stdin and stdout. */

const everything = everythingServer().target;
const behindEverything = ['--', everything.command, ...everything.args];

/** Opens a session that takes sampling requests. */
async function openSampling(client: LineClient): Promise<void> {
  const clientInfo = { name: 'e2e-line', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: { sampling: {} }, clientInfo };
  client.send({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
  await client.answerTo(0);
  client.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
}

const start = (words: readonly string[], folder: string): Promise<OwnedProcess> =>
  OwnedProcess.start({ ...shadowcat(words, folder), stdin: 'pipe' });

describe('on stdin and stdout', () => {
  it('a call in flight is answered after SIGTERM', async () => {
    await using folder = await workFolder();
    await using proxy = await start(['record', '--stdio', '--out', 'a.tape.jsonl', ...behindEverything], folder.path);
    const client = new LineClient(proxy);
    await client.initialize();
    client.call(1, 'trigger-long-running-operation', { duration: 2, steps: 2 });
    client.call(2, 'echo', { message: 'the server is at it' });
    await client.answerTo(2);
    const exited = proxy.stop();
    expect(await client.answerTo(1)).toContain('completed');
    expect((await exited).code).toBe(0);
  });

  it('a replay ends with 4 when its client closes stdin instead of answering, and says what it waited for', async () => {
    await using folder = await workFolder();
    const tape = ['a.tape.jsonl'];
    const ask = ['trigger-sampling-request', { prompt: 'hello', maxTokens: 5 }] as const;
    {
      await using proxy = await start(['record', '--stdio', '--out', ...tape, ...behindEverything], folder.path);
      const client = new LineClient(proxy);
      await openSampling(client);
      client.call(1, ...ask);
      const asked = JSON.parse(await proxy.line(/sampling\/createMessage/)) as { id: unknown };
      const result = { role: 'assistant', model: 'm', content: { type: 'text', text: 'hi' } };
      client.send({ jsonrpc: '2.0', id: asked.id, result });
      await client.answerTo(1);
      client.end();
      expect((await proxy.exited).code).toBe(0);
    }
    await using replay = await start(['replay', '--stdio', '--drain-timeout', '100ms', ...tape], folder.path);
    const client = new LineClient(replay);
    await openSampling(client);
    client.call(1, ...ask);
    await replay.line(/sampling\/createMessage/);
    client.end();
    const exit = await replay.exited;
    expect(exit.stderr).toContain('still waiting for the client: sampling/createMessage');
    expect(exit.code).toBe(4);
  });
});
