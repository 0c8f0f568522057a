import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { metric, readiness, toolCall, toolText } from '../src/calls.js';
import { connectV1 } from '../src/client-v1.js';
import { CountingServer } from '../src/counting-server.js';
import { OwnedProcess, run, startWithUrl } from '../src/processes.js';
import { openSession, postModern, sseEvents } from '../src/raw-mcp.js';
import { RawWebSocket } from '../src/raw-web-socket.js';
import { FIXTURE_MAIN, startFixture } from '../src/servers.js';
import { runShadowcat, shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** What passed is on the tape, whatever happens to the recorder; and it passes as it would without one. */

const NO_STORE = ['--store', 'memory:'];
const fixtureCommand = ['--', process.execPath, FIXTURE_MAIN, 'stdio', '--allow-crash'];

/** The records of a tape, or of what is left of one, that have this kind. */
async function records(path: string, kind: string): Promise<Record<string, unknown>[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ k }) => k === kind);
}

describe.concurrent('a recorder that is killed in the middle of a stream', () => {
  it('has every event on disk that the client saw, ten times; what is recovered replays', {
    timeout: 120_000,
  }, async () => {
    await using folder = await workFolder();
    await using fixture = await startFixture();
    const STEPS = 24;
    const kills = [1, 2, 4, 7, 10, 13, 16, 19, 22, 24];
    const recordAndKill = async (after: number): Promise<string> => {
      const name = `${String(after).padStart(2, '0')}.tape.jsonl`;
      const args = ['record', ...NO_STORE, '--out', name, '--upstream', fixture.url];
      await using proxy = await startShadowcat(args, folder.path);
      const client = await connectV1({ url: proxy.url });
      await client.callTool('echo', { n: after });
      let seen = 0;
      const killed = Promise.withResolvers<void>();
      const call = client.callTool(
        'progress',
        { steps: STEPS, delayMs: 8 },
        {
          onProgress: () => {
            seen += 1;
            if (seen === after) killed.resolve(proxy.stop({ signal: 'SIGKILL' }).then(() => undefined));
          },
        },
      );
      // The SDK would wait for it for long.
      call.catch(() => {});
      await killed.promise;
      await Promise.allSettled([client[Symbol.asyncDispose]()]);
      const part = `${folder.path}/${name}.part`;
      const sent = (await records(part, 'msg')).flatMap(({ m }) => {
        const { method, params } = m as { method?: string; params?: { progress?: number } };
        return method === 'notifications/progress' ? [params?.progress] : [];
      });
      expect(sent.length, `events on disk of ${seen} seen`).toBeGreaterThanOrEqual(seen);
      expect(sent).toEqual(Array.from(sent, (_, index) => index + 1));
      return `${name}.part`;
    };
    const inTurn = async (some: readonly number[]): Promise<string[]> => {
      const parts: string[] = [];
      for (const after of some) parts.push(await recordAndKill(after));
      return parts;
    };
    const parts = (await Promise.all([inTurn(kills.slice(0, 5)), inTurn(kills.slice(5))])).flat();
    // Whatever was left is recovered in the same way: killed early, in the middle and late shows it.
    const some = [1, 13, 24];
    const recovered = await Promise.all(
      some.map((after) => runShadowcat(['tape', 'recover', parts[kills.indexOf(after)] ?? ''], folder.path)),
    );
    expect(recovered.map(({ code }) => code)).toEqual(some.map(() => 0));
    const tapes = recovered.map(({ stdout }) => stdout.trim());

    await using replay = await startShadowcat(['replay', ...tapes], folder.path);
    const clients = await Promise.all(some.map(() => connectV1({ url: replay.url })));
    const answers = await Promise.all(
      clients.map((client) => Promise.any(some.map((after) => client.callTool('echo', { n: after })))),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(some.length);
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  });
});

describe.concurrent('a tape that was damaged', () => {
  it('is found by lint in each of 200 places where it is cut or changed', { timeout: 60_000 }, async () => {
    await using folder = await workFolder();
    const args = ['record', ...NO_STORE, '--out', 'x.tape.jsonl', ...fixtureCommand];
    await using proxy = await startShadowcat(args, folder.path);
    const client = await connectV1({ url: proxy.url });
    await client.callTool('progress', { steps: 20, delayMs: 1 }, { onProgress: () => {} });
    await client.callTool('echo', { text: 'Grüße ☃' });
    await client[Symbol.asyncDispose]();
    expect((await proxy.stop()).code).toBe(0);
    await runShadowcat(['tape', 'fmt', 'x.tape.jsonl', '-o', 'golden.tape.jsonl'], folder.path);

    const damaged = async (name: string, damage: (bytes: Buffer, offset: number) => Buffer) => {
      const bytes = await readFile(`${folder.path}/${name}`);
      const dir = `${name}-${damage.name}`;
      await mkdir(`${folder.path}/${dir}`);
      const paths = Array.from({ length: 200 }, (_, index) => `${dir}/${index}.tape.jsonl`);
      await Promise.all(
        paths.map((path, index) =>
          writeFile(`${folder.path}/${path}`, damage(bytes, Math.floor((index * bytes.length) / paths.length))),
        ),
      );
      return paths;
    };
    const cut = (bytes: Buffer, offset: number): Buffer => bytes.subarray(0, offset);
    const flipped = (bytes: Buffer, offset: number): Buffer => {
      const changed = Buffer.from(bytes);
      changed[offset] = (changed[offset] ?? 0) ^ 0x01;
      return changed;
    };
    const paths = (
      await Promise.all(
        ['x.tape.jsonl', 'golden.tape.jsonl'].flatMap((name) => [damaged(name, cut), damaged(name, flipped)]),
      )
    ).flat();
    const { code, stdout, stderr } = await runShadowcat(['tape', 'lint', ...paths], folder.path);
    const named = new Set(`${stdout}\n${stderr}`.split('\n').map((line) => line.split(':', 1)[0]));
    expect(code).toBe(3);
    expect(paths.filter((path) => !named.has(path))).toEqual([]);
  });
});

describe.concurrent('traffic that is recorded', () => {
  /** What a client that says everything there is to say gets, byte for byte, and what the server gets. */
  async function conversation(url: string, server: CountingServer) {
    server.received.length = 0;
    const answers: unknown[] = [];
    const keep = async (response: Response): Promise<void> => {
      const { status, headers } = response;
      const body = await response.text().catch(() => 'broken');
      // Each stream has its own ids.
      answers.push({ status, type: headers.get('content-type'), body: body.replace(/sc-[0-9a-f]+_/g, 'sc-_') });
    };
    const session = await openSession(url);
    for (const tool of ['odd', 'events', 'short', 'refuse', 'reset'])
      await keep(await session.post(toolCall(tool, tool)));
    await keep(
      await session.post(
        '{ "jsonrpc":"2.0", "id":1.0e1,"method":"tools\\/call" ,"params":{"b":1.0,"a":12345678901234567890}}',
      ),
    );
    await keep(await session.post([{ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }]));
    await keep(await session.post('{"no":"message"}'));
    const text = JSON.stringify(toolCall('streamed', 'odd', { text: 'x'.repeat(300_000) }));
    const body = new Blob([text]).stream();
    const headers = {
      ...session.headers,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    };
    await keep(await fetch(url, { method: 'POST', headers, body, duplex: 'half' } as RequestInit));
    await keep(await session.delete());
    return { answers, received: server.received.map(({ method, body: sent }) => ({ method, sent })) };
  }

  it('is the same bytes as without a recorder, both ways, and each request is sent once', async () => {
    await using folder = await workFolder();
    await using server = await CountingServer.start();
    // A server that failed is asked how it is, some seconds later: these requests are nobody's.
    const words = [...NO_STORE, '--health-check', 'off', '--upstream', server.url];
    await using plain = await startShadowcat(['reverse', ...words], folder.path);
    await using recording = await startShadowcat(['record', '--out', 'x.tape.jsonl', ...words], folder.path);
    const expected = await conversation(plain.url, server);
    expect(expected.received.length).toBeGreaterThan(8);
    expect(await conversation(recording.url, server)).toEqual(expected);

    await using client = await connectV1({ url: recording.url });
    server.received.length = 0;
    await client.callTool('events', {}, { onProgress: () => {} });
    expect(server.received.filter(({ body }) => body.includes('"tools/call"'))).toHaveLength(1);
  });

  it('over stdin and over a WebSocket too', async () => {
    await using folder = await workFolder();
    const script = `${folder.path}/odd.mjs`;
    await writeFile(
      script,
      `import { createInterface } from 'node:readline';
for await (const line of createInterface({ input: process.stdin })) {
  const id = /"id" *: *("[^"]*"|[-0-9.e]+)/.exec(line)?.[1];
  if (line.includes('"initialize"')) console.log('{"jsonrpc":"2.0","id":' + id + ',"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"odd","version":"1"}}}');
  else if (id !== undefined) {
    console.log('{"jsonrpc" : "2.0","method":"notifications/message","params":{"level":"info","data":1.50,"heard":' + JSON.stringify(line.replace(id === undefined ? '' : ':' + id, ':ID').replace(': ' + id, ':ID')) + '}}');
    console.log('{ "id":' + id + ',"jsonrpc":"2.0", "result": {"z":1.0,"a":9007199254740993, "e":"\\\\u00e9" } }');
  }
}`,
    );
    const command = [process.execPath, script];
    const lines = [
      '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}',
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      '{ "jsonrpc":"2.0","id":"a", "method":"tools/call","params":{"name":"x","arguments":{"n":12345678901234567890,"f":1.0}}}',
      '{"jsonrpc":"2.0","method":"tools/list","id":7}',
    ];
    const said = async (started: OwnedProcess): Promise<string> => {
      started.stdin?.write(`${lines.join('\n')}\n`);
      await started.line(/"id":7/);
      started.stdin?.end();
      return (await started.exited).stdout;
    };
    await using direct = await OwnedProcess.start({ command: process.execPath, args: [script], stdin: 'pipe' });
    const recorded = shadowcat(
      ['record', '--stdio', ...NO_STORE, '--out', 's.tape.jsonl', '--', ...command],
      folder.path,
    );
    await using behind = await OwnedProcess.start({ ...recorded, stdin: 'pipe' });
    expect(await said(behind)).toBe(await said(direct));
    expect((await records(`${folder.path}/s.tape.jsonl`, 'end'))[0]).toMatchObject({ lost: 0 });

    const overSocket = async (words: readonly string[]): Promise<string[]> => {
      await using proxy = await startShadowcat([...words, ...NO_STORE, '--', ...command], folder.path);
      using socket = await RawWebSocket.open(proxy.url);
      for (const line of lines) socket.send(line);
      return [await socket.text(), await socket.text(), await socket.text(), await socket.text(), await socket.text()];
    };
    expect(await overSocket(['record', '--out', 'w.tape.jsonl'])).toEqual(await overSocket(['reverse']));
  });

  it('says of each exchange how it ended', async () => {
    await using folder = await workFolder();
    await using server = await CountingServer.start();
    const words = ['--drain-timeout', '100ms', '--bridge', 'off', '--upstream', server.url];
    const args = ['record', ...NO_STORE, '--out', 'x.tape.jsonl', ...words];
    await using proxy = await startShadowcat(args, folder.path);
    const session = await openSession(proxy.url);
    const part = `${folder.path}/x.tape.jsonl.part`;
    const ended = (count: number): Promise<unknown> =>
      expect.poll(async () => (await records(part, 'x-')).length, { interval: 10 }).toBe(count);
    /** Waits for the first event, then leaves. */
    const leave = async (post: (signal: AbortSignal) => Promise<Response>): Promise<void> => {
      const away = new AbortController();
      const events = sseEvents(await post(away.signal));
      await events.next();
      away.abort();
      const more = (): Promise<boolean> =>
        events.next().then(
          ({ done }) => done !== true,
          () => false,
        );
      while (await more());
    };
    for (const tool of ['odd', 'events', 'refuse', 'reset', 'short'])
      await (await session.post(toolCall(tool, tool))).text().catch(() => '');
    await ended(7);
    const cancelled = await session.post(toolCall('cancelled', 'hold'));
    const held = sseEvents(cancelled);
    await held.next();
    const cancellation = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'cancelled' } };
    await (await session.post(cancellation)).text();
    await ended(8);
    await cancelled.body?.cancel().catch(() => {});
    await held.return(undefined).catch(() => {});
    await leave((signal) =>
      postModern(proxy.url, { id: 'modern', method: 'tools/call', params: { name: 'hold' } }, { signal }),
    );
    await ended(9);
    const other = await openSession(proxy.url);
    await other.get();
    await (await other.delete()).text();
    // Leaving cancels nothing in this revision: the answer may still come, for whoever resumes the stream.
    await leave((signal) => session.post(toolCall('left', 'hold'), { signal }));
    expect((await proxy.stop()).code).toBe(0);

    const tape = `${folder.path}/x.tape.jsonl`;
    const named = new Map<string, string>();
    const key = ({ s, x }: Record<string, unknown>): string => `${String(s)} ${String(x)}`;
    for (const record of await records(tape, 'http'))
      if (record.from === 'client') named.set(key(record), String(record.method));
    for (const record of await records(tape, 'msg')) {
      const { method, id } = record.m as { method?: string; id?: unknown };
      if (record.from === 'client') named.set(key(record), id === undefined ? String(method) : String(id));
    }
    const ends = (await records(tape, 'x-')).map((record) => [named.get(key(record)), record.end]);
    expect(Object.fromEntries(ends)).toEqual({
      init: 'answered',
      'notifications/initialized': 'answered',
      odd: 'answered',
      events: 'answered',
      refuse: 'error',
      // What the proxy says in place of an answer is none of the server's words.
      reset: 'reset',
      short: 'closed-by-server',
      cancelled: 'cancelled-by-client',
      'notifications/cancelled': 'answered',
      modern: 'cancelled-by-client',
      GET: expect.stringMatching(/^closed-by-/),
      DELETE: 'answered',
      left: expect.stringMatching(/^(open-at-end|closed-by-client)$/),
    });
    expect(await readFile(tape, 'utf8')).not.toContain('-32013');

    // Who cannot come back for the rest is told by the replay what it was told then.
    const replaying = startShadowcat(['replay', 'x.tape.jsonl'], folder.path);
    expect(await runShadowcat(['tape', 'lint', 'x.tape.jsonl'], folder.path)).toMatchObject({ code: 0 });
    await using replay = await replaying;
    const again = await openSession(replay.url);
    for (const tool of ['reset', 'short']) {
      const text = await (await again.post(toolCall(tool, tool))).text();
      expect(text).toMatch(/"method":"notifications\/progress"[\s\S]*"id":"(reset|short)","error":\{"code":-32013/);
    }
  });
});

describe.concurrent('a disk that is full', () => {
  /** A recorder whose files may not grow beyond 48 KiB, and what takes that away. */
  async function limited(words: readonly string[], folder: string) {
    const { command, args } = shadowcat(
      ['record', '--listen', '127.0.0.1:0', ...NO_STORE, ...words, '--out', 'x.tape.jsonl', ...fixtureCommand],
      folder,
    );
    const proxy = await startWithUrl({
      command: 'prlimit',
      args: ['--fsize=49152:unlimited', command, ...args],
      cwd: folder,
    });
    const free = async (): Promise<void> => {
      expect(await run({ command: 'prlimit', args: ['--pid', String(proxy.pid), '--fsize=unlimited'] })).toMatchObject({
        code: 0,
      });
    };
    return { proxy, free };
  }

  it('is told once, in health and metrics; traffic goes on, and the tape too when there is space', {
    timeout: 60_000,
  }, async () => {
    await using folder = await workFolder();
    const { proxy: started, free } = await limited([], folder.path);
    await using proxy = started;
    const session = await openSession(proxy.url);
    const long = { text: 'x'.repeat(15_000) };
    for (let id = 1; id <= 40; id += 1)
      expect(await toolText(await session.post(toolCall(id, 'echo', long)), id)).toContain('xxx');
    expect((await readiness(proxy.url)).status).toBe(503);
    expect((await readiness(proxy.url)).body.recorder).toMatchObject({
      ok: false,
      status: 'failing',
      detail: expect.stringContaining('EFBIG'),
    });
    expect(await metric(proxy.url, 'shadowcat_recorder_up')).toBe(0);
    expect(await metric(proxy.url, 'shadowcat_recorder_dropped_total')).toBeGreaterThan(0);
    await free();
    await expect.poll(async () => (await readiness(proxy.url)).status).toBe(200);
    expect(await metric(proxy.url, 'shadowcat_recorder_up')).toBe(1);
    expect(await toolText(await session.post(toolCall(41, 'echo', { n: 9 })), 41)).toContain('9');
    const { code, stderr } = await proxy.stop();
    expect(code).toBe(0);
    expect(stderr.match(/cannot write the tape/g)).toHaveLength(1);
    const gaps = await records(`${folder.path}/x.tape.jsonl`, 'gap');
    const lost = gaps.reduce((sum, gap) => sum + Number(gap.lost), 0);
    expect(gaps[0]).toEqual({ k: 'gap', lost: expect.any(Number), why: expect.stringContaining('EFBIG') });
    expect((await records(`${folder.path}/x.tape.jsonl`, 'end'))[0]).toMatchObject({ lost });
    const ls = await runShadowcat(['tape', 'ls', '.'], folder.path);
    expect(ls.stdout).toContain(`${lost} records lost`);
  });

  it('refuses what has to be recorded, until there is space', { timeout: 60_000 }, async () => {
    await using folder = await workFolder();
    const { proxy: started, free } = await limited(['--record-required'], folder.path);
    await using proxy = started;
    const session = await openSession(proxy.url);
    const post = async (id: number, size: number): Promise<{ status: number; text: string }> => {
      const response = await session.post(toolCall(id, 'echo', { text: 'x'.repeat(size) }));
      return { status: response.status, text: await response.text() };
    };
    expect((await post(1, 10)).status).toBe(200);
    expect(await post(2, 60_000)).toMatchObject({ status: 503, text: expect.stringContaining('-32017') });
    expect(await post(3, 10)).toMatchObject({
      status: 503,
      text: expect.stringContaining('the recording is required'),
    });
    expect((await readiness(proxy.url)).status).toBe(503);
    await free();
    await expect.poll(async () => (await readiness(proxy.url)).status).toBe(200);
    expect((await post(4, 10)).status).toBe(200);
    expect((await proxy.stop()).code).toBe(0);
    expect((await records(`${folder.path}/x.tape.jsonl`, 'x-')).map(({ end, code }) => code ?? end)).toEqual([
      'answered',
      'answered',
      'answered',
      'recorder_failed',
      'answered',
    ]);
  });
});

describe.concurrent('a place that cannot be recorded to', () => {
  it.each([
    ['reverse', '--record', '/proc/x.tape.jsonl'],
    ['record', '--stdio', '--out', 'file/tapes'],
  ])('ends %s %s %s at once with 2', async (...words) => {
    await using folder = await workFolder();
    await writeFile(`${folder.path}/file`, '');
    const exit = await runShadowcat([...words, ...NO_STORE, '--upstream', 'http://127.0.0.1:1/mcp'], folder.path);
    expect(exit).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/tapes cannot be written to .*: E[A-Z]+/),
    });
    expect(exit.stderr.trim().split('\n').length).toBeLessThanOrEqual(2);
  });

  it('because another recorder does is left to it, also by recover', async () => {
    await using folder = await workFolder();
    const args = ['record', ...NO_STORE, '--out', 'x.tape.jsonl', ...fixtureCommand];
    await using proxy = await startShadowcat(args, folder.path);
    const session = await openSession(proxy.url);
    const owned = `is being recorded by process ${proxy.pid}`;
    const listen = ['--listen', '127.0.0.1:0'];
    const [second, recover] = await Promise.all([
      runShadowcat([...args.slice(0, 1), ...listen, ...args.slice(1)], folder.path),
      runShadowcat(['tape', 'recover', 'x.tape.jsonl.part'], folder.path),
    ]);
    expect(second).toMatchObject({ code: 2, stderr: expect.stringContaining(owned) });
    expect(recover).toMatchObject({ code: 3, stderr: expect.stringContaining(owned) });
    await (await session.post(toolCall(1, 'echo'))).text();
    const calling = session.post(toolCall(2, 'progress', { steps: 100, delayMs: 1000 }));
    const events = sseEvents(await calling);
    await events.next();
    // A second signal ends it at once: what was recorded is left, and recovered.
    process.kill(proxy.pid, 'SIGTERM');
    await proxy.line(/second signal/, { from: 'stderr' });
    await proxy.stop({ signal: 'SIGTERM' });
    expect((await readdir(folder.path)).filter((name) => name.includes('tape'))).toEqual(['x.tape.jsonl.part']);
    const kept = await runShadowcat(['tape', 'recover', 'x.tape.jsonl.part'], folder.path);
    expect(kept).toMatchObject({ code: 0, stderr: expect.stringContaining('1 exchanges were not finished') });
    await events.return(undefined).catch(() => {});
  });
});

describe.concurrent('a recorder on stdin', () => {
  it('finishes its tape when its client closes stdin or is killed, and when the server dies', async () => {
    await using folder = await workFolder();
    const start = (name: string): Promise<OwnedProcess> =>
      OwnedProcess.start({
        ...shadowcat(['record', '--stdio', ...NO_STORE, '--out', name, ...fixtureCommand], folder.path),
        stdin: 'pipe',
      });
    const initialize = {
      jsonrpc: '2.0',
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } },
    };
    const say = (to: OwnedProcess, ...messages: object[]): void => {
      for (const message of messages) to.stdin?.write(`${JSON.stringify(message)}\n`);
    };
    const ready = async (name: string): Promise<OwnedProcess> => {
      const started = await start(name);
      say(started, initialize);
      await started.line(/"id":0/);
      say(started, { jsonrpc: '2.0', method: 'notifications/initialized' });
      return started;
    };
    await using closed = await ready('closed.tape.jsonl');
    await using killed = await ready('killed.tape.jsonl');
    await using crashed = await ready('crashed.tape.jsonl');
    say(closed, toolCall(1, 'progress', { steps: 20, delayMs: 10 }));
    closed.stdin?.end();
    say(crashed, toolCall(1, 'crash', { code: 3 }));
    await crashed.line(/"id":1/);
    crashed.stdin?.end();
    // A client that is killed leaves both pipes closed.
    (killed.stdin as unknown as { destroy(): void }).destroy();
    await Promise.all([closed, killed, crashed].map(async ({ exited }) => expect((await exited).code).toBe(0)));
    const ends = async (name: string): Promise<unknown> =>
      new Set((await records(`${folder.path}/${name}.tape.jsonl`, 'x-')).map(({ end }) => end));
    expect(await Promise.all(['closed', 'killed', 'crashed'].map(ends))).toEqual([
      new Set(['answered', 'closed-by-client']),
      new Set(['answered', 'closed-by-client']),
      new Set(['answered', 'error', 'closed-by-client']),
    ]);
  });
});
