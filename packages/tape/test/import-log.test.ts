import { describe, expect, it } from 'vitest';
import { endsOf, imported, messagesOf, orderOf } from './support/import.js';
import { bytesOf, call, initialize, result } from './support/rig.js';

const text = (value: object): string => JSON.stringify(value);
const OPENED = {
  jsonrpc: '2.0',
  id: 0,
  result: { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 's', version: '1' } },
};
const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 7, progress: 1 } };
const question = { jsonrpc: '2.0', id: 1, method: 'roots/list' };

/** A session: who said what. */
const SPOKEN: readonly (readonly ['client' | 'server', object])[] = [
  ['client', initialize()],
  ['server', OPENED],
  ['client', { jsonrpc: '2.0', method: 'notifications/initialized' }],
  ['client', call(1, 'slow', {}, { progressToken: 7 })],
  ['server', progress],
  ['server', question],
  ['client', { jsonrpc: '2.0', id: 1, result: { roots: [] } }],
  ['server', result(1, 'done')],
  ['client', call(2, 'quick')],
  ['server', result(2, 'x')],
];
const log = (line: (from: 'client' | 'server', message: string, number: number) => string): string =>
  SPOKEN.map(([from, message], number) => `${line(from, text(message), number)}\n`).join('');
const time = (number: number): string => new Date(Date.UTC(2026, 4, 1) + number * 10).toISOString();
const arrow = (from: string): string => (from === 'client' ? '-->' : '<--');

const FORMS: readonly (readonly [string, string])[] = [
  [
    'Claude Desktop',
    log((from, message, at) => `${time(at)} [files] [info] Message from ${from}: ${message} { metadata: undefined }`),
  ],
  [
    'VS Code',
    log(
      (from, message, at) =>
        `${time(at).replace('T', ' ').slice(0, -1)} [debug] [${from === 'client' ? 'editor -> server' : 'server -> editor'}] ${message}`,
    ),
  ],
  [
    'an older VS Code',
    log(
      (from, message) => `2026-05-01 10:00:00.970 [info] [${from === 'client' ? 'Client' : 'Server'} Says] ${message}`,
    ),
  ],
  [
    'a gateway',
    log(
      (from, message) =>
        `[supergateway] ${from === 'client' ? 'SSE → Child' : 'Child → SSE'} (session 6f1c): ${message}`,
    ),
  ],
  [
    'a gateway before a remote server',
    log((from, message) => `[supergateway] ${from === 'client' ? 'Stdio → SSE' : 'SSE → Stdio'}: ${message}`),
  ],
  ['arrows', log((from, message) => `${arrow(from)} ${message}`)],
  ['brackets', log((from, message) => `[${from}] ${message}`)],
  [
    'streams in colours',
    log((from, message) => `\u001b[32m${from === 'client' ? 'stdin' : 'stdout'}:\u001b[0m ${message}`),
  ],
  [
    'objects',
    log(
      (from, message, at) =>
        `{"ts":${1_700_000_000_000 + at},"direction":"${from === 'client' ? 'client->server' : 'server->client'}","message":${message}}`,
    ),
  ],
  ['objects with text', log((from, message) => text({ from, payload: message }))],
];

describe('a log of a stdio server', () => {
  const bare = log((_, message) => message);

  it.each(FORMS)('as of %s is told in both directions', async (_, file) => {
    const read = await imported(file, 'stdio-log');
    expect(orderOf(read)).toEqual([
      'client s1 1',
      'server s1 1',
      'client s1 2',
      'client s1 4',
      'server s1 4',
      'server s1 4',
      'client s1 5',
      'server s1 4',
      'client s1 6',
      'server s1 6',
    ]);
    expect(read.losses.join()).not.toContain('told from method');
    expect(endsOf(read)).toEqual([
      '1 answered',
      '2 answered',
      '5 answered',
      '4 answered',
      '6 answered',
      '3 closed-by-client',
    ]);
  });

  it('without directions is told from methods and ids, and gives the same tape', async () => {
    const read = await imported(bare, 'stdio-log');
    expect(read.golden).toEqual((await imported(FORMS[0]?.[1] ?? '', 'stdio-log')).golden);
    expect(read.losses).toEqual([
      '10 messages do not say who sent them: told from method and id',
      'there are no times: the tape has none',
    ]);
  });

  it('in two files is merged by what was asked and answered, and gives the same tape', async () => {
    const side = (wanted: string): string =>
      SPOKEN.filter(([from]) => from === wanted)
        .map(([, message]) => `${text(message)}\n`)
        .join('');
    const read = await imported([side('client'), side('server')], 'stdio-log');
    expect(read.golden).toEqual((await imported(bare, 'stdio-log')).golden);
    expect(read.losses[0]).toContain('two files');
  });

  it('has other text, which is kept and counted, without its secrets', async () => {
    const read = await imported(
      `starting up\n${bare}stderr: password=hunter2hunter2\nstderr: ${text(progress)}\n`,
      'stdio-log',
    );
    const kept = read.tape.records.flatMap((record) => (record.k === 'err' ? [record.text] : []));
    expect(kept).toEqual([
      'starting up',
      expect.stringMatching(/^stderr: password=~redacted\./),
      expect.stringContaining('progress'),
    ]);
    expect(read.losses).toContain(
      '3 lines are no message: kept as text in the capture form, left out of the golden one',
    );
  });

  it('with messages on the line behind what announces them is told', async () => {
    const file = log((from, message, at) => `${time(at)} [files] [info] Message from ${from}:\n${message}`);
    const read = await imported(`Message from nobody:\n${file}`, 'stdio-log');
    expect(read.golden).toEqual((await imported(bare, 'stdio-log')).golden);
    expect(read.losses).toEqual(['1 line is no message: kept as text in the capture form, left out of the golden one']);
  });

  it('that abridges long messages lacks them, also where what is left would be a message', async () => {
    const [open = '', opened = ''] = [text(initialize()), text(OPENED)];
    const long = text(result(1, 'begin...[14696 chars truncated]...end'));
    const file = [open, opened, text(call(1, 'a')), long].map(
      (line, at) => `Message from ${at % 2 === 0 ? 'client' : 'server'}: ${line} { metadata: undefined }`,
    );
    const read = await imported(file.join('\n'), 'stdio-log');
    expect(endsOf(read)).toEqual(['1 answered', '2 open-at-end']);
    expect(read.losses[0]).toContain('1 message is abridged in the log');
  });

  it('of two runs has two sessions', async () => {
    const read = await imported(`${bare}${bare}`, 'stdio-log');
    expect(read.golden.filter((line) => line.includes('"event":"opened"'))).toHaveLength(2);
    expect(endsOf(read)).toHaveLength(12);
  });

  it('that ends too early leaves requests open, and answers without a request out', async () => {
    const read = await imported(
      [text(initialize()), text(OPENED), text(call(1, 'a')), text(result(9, 'x')), text(call(2, 'b'))]
        .map((line, at) => `${arrow(at % 2 === 0 ? 'client' : 'server')} ${line}`)
        .join('\n'),
      'stdio-log',
    );
    expect(endsOf(read)).toEqual(['1 answered', '2 open-at-end', '3 open-at-end']);
    expect(read.losses.slice(0, 2)).toEqual([
      'there are no times: the tape has none',
      '1 answer belongs to no request in the file: left out',
    ]);
    expect(read.losses[2]).toContain('2 requests were not answered');
  });

  it('in which nothing is answered has the questions', async () => {
    const read = await imported([initialize(), call(1, 'a')].map(text).join('\n'), 'stdio-log');
    expect(messagesOf(read)).toHaveLength(2);
    expect(endsOf(read).sort()).toEqual(['1 open-at-end', '2 open-at-end']);
  });

  it('of the newer revision has no session', async () => {
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    const listen = {
      jsonrpc: '2.0',
      id: 1,
      method: 'subscriptions/listen',
      params: { _meta: meta, notifications: {} },
    };
    const told = {
      jsonrpc: '2.0',
      method: 'notifications/tools/list_changed',
      params: { _meta: { 'io.modelcontextprotocol/subscriptionId': 1 } },
    };
    const asked = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'a', arguments: {}, _meta: meta } };
    const read = await imported([listen, asked, told, result(2, 'x')].map(text).join('\n'), 'stdio-log');
    expect(messagesOf(read).map((line) => line.slice(0, 10))).toEqual([
      'client - 1',
      'client - 2',
      'server - 1',
      'server - 2',
    ]);
    expect(read.golden.join('')).toContain('"mcp-method":"tools/call"');
  });

  it('cut at any byte is read as far as it goes', async () => {
    const file = bytesOf(FORMS[0]?.[1] ?? '');
    const first = file.indexOf(0x0a);
    for (let at = 0; at < file.length; at += 3) {
      const read = await imported(file.slice(0, at), 'stdio-log').catch((error: unknown) => error);
      if (at < first - 30) expect(read, `cut at ${at}`).toMatchObject({ code: 'tape_invalid' });
      if (at > first) expect(read, `cut at ${at}`).not.toBeInstanceOf(Error);
    }
  });

  it('with hostile lines is read all the same', async () => {
    const deep = `${'{"jsonrpc":'.repeat(5000)}1${'}'.repeat(5000)}`;
    const many = `${'['.repeat(100_000)}jsonrpc`;
    const proto = '{"__proto__":{"jsonrpc":"2.0"},"jsonrpc":"2.0","id":5,"method":"tools/list"}';
    const read = await imported(
      `${deep}\n${many}\n${bare}${proto}\n{"jsonrpc":"2.0","jsonrpc":"2.0","method":"x"}\n`,
      'stdio-log',
    );
    expect(messagesOf(read)).toHaveLength(11);
  });

  it('without a message is refused', async () => {
    await expect(imported('nothing\nat all\n', 'stdio-log')).rejects.toThrow(
      'none of its 2 lines has a JSON-RPC message',
    );
  });
});
