import { describe, expect, it } from 'vitest';
import { detectFormat, goldenOf, harOf, importTraffic, readTape } from '../src/index.js';
import { endsOf, entry, events, har, harBy, imported, messagesOf, orderOf } from './support/import.js';
import { bytesOf, call, initialize, newDigest, record, replayRig, result, TestClient } from './support/rig.js';
import { legacyServer } from './support/servers.js';

const text = (value: object): string => JSON.stringify(value);
const opened = text({
  jsonrpc: '2.0',
  id: 0,
  result: { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 's', version: '1' } },
});
const SESSION = 'session-4711-secret';
const SESSION_HEADER = {
  headers: [
    { name: 'content-type', value: 'application/json' },
    { name: 'mcp-session-id', value: SESSION },
  ],
};
const opening = entry({ at: 0, body: initialize(), text: opened, response: SESSION_HEADER });
const ask = (id: number, name: string, at: number) => ({ at, body: call(id, name), session: SESSION });

describe('an HTTP archive', () => {
  it('is told by how it begins', () => {
    expect(detectFormat(bytesOf(har(opening)))).toBe('har');
    expect(detectFormat(bytesOf('{"jsonrpc":"2.0","method":"x"}'))).toBe('stdio-log');
    expect(detectFormat(bytesOf('1234:7:version;2:17#'))).toBe('mitmproxy');
  });

  it('is imported without what is no MCP, and without the session id', async () => {
    const read = await imported(
      har(
        entry({ at: 0, method: 'GET', url: 'http://a.example/index.html', text: '<html>', type: 'text/html' }),
        opening,
        entry({ ...ask(1, 'a', 10), text: text(result(1, `for ${SESSION}`)) }),
        entry({ at: 20, url: 'http://a.example/mcp', body: 'not json', text: '{}' }),
        entry({ at: 30, method: 'DELETE', session: SESSION }),
      ),
      'har',
    );
    expect(read.losses).toEqual(['2 entries were no MCP and left out']);
    expect(messagesOf(read).map((line) => line.slice(0, 14))).toEqual([
      'client s1 1 {"',
      'server s1 1 {"',
      'client s1 2 {"',
      'server s1 2 {"',
    ]);
    expect(endsOf(read)).toEqual(['1 answered', '2 answered', '3 answered']);
    expect(read.golden.join('')).not.toContain(SESSION);
    expect(read.golden.at(-1)).toContain('"by":"client"');
    expect(read.tape.records.find(({ k }) => k === 'sess')).toMatchObject({ era: 'legacy', version: '2025-11-25' });
  });

  it('is redacted as a recording is, and what was a secret in a header is one everywhere', async () => {
    const planted = 'planted-in-a-header-9';
    const read = await imported(
      har(
        entry({
          body: call(1, 'login', { password: 'hunter2hunter2' }),
          request: {
            headers: [
              { name: 'Authorization', value: `Bearer ${planted}` },
              { name: 'mcp-method', value: 'tools/call' },
            ],
          },
          text: text(result(1, `Bearer ${planted}`)),
        }),
      ),
      'har',
    );
    expect(read.golden.join('')).not.toMatch(/hunter2|authorization/i);
    expect(read.golden.join('')).toContain('~redacted.');
    expect(read.golden.join('')).not.toContain(planted);
  });

  it('names the secrets of its cookies, its URLs and its header fields, and no short or plain ones', () => {
    const headers = [
      { name: 'Authorization', value: 'Bearer from-a-header' },
      { name: 'Cookie', value: 'a=1; theme=dark; connect.sid=s%3Afrom-a-cookie; token=short' },
      { name: 'mcp-session-id', value: SESSION },
    ];
    const answered = [
      { name: 'Set-Cookie', value: 'sid="set-for-the-first-time"; Path=/; HttpOnly' },
      { name: 'Set-Cookie', value: 'other=set-for-another; Expires=Wed, 21 Oct 2026 07:28:00 GMT' },
    ];
    const { secrets } = importTraffic(
      [
        bytesOf(
          har(
            entry({
              url: 'http://me:of-the-user@a.example/mcp?access_token=from%2Da-query&page=2026-01-01-long',
              body: call(1, 'a'),
              request: { headers },
              response: { headers: answered },
            }),
            entry({ url: 'http://b.example/?token=of-another-place', method: 'GET' }),
          ),
        ),
      ],
      { format: 'har', decode: (body) => body },
    );
    expect([...secrets].sort()).toEqual(
      [
        'from-a-header',
        's%3Afrom-a-cookie',
        's:from-a-cookie',
        'short',
        'set-for-the-first-time',
        'set-for-another',
        'of-the-user',
        'from-a-query',
        SESSION,
      ].sort(),
    );
  });

  it('with more different secrets than can be looked for is refused', async () => {
    const entries = Array.from({ length: 5001 }, (_, id) =>
      entry({
        at: id,
        body: call(id, 'a'),
        request: { headers: [{ name: 'Authorization', value: `Bearer of-request-${id}` }] },
        text: text(result(id, 'x')),
      }),
    );
    await expect(imported(har(...entries), 'har')).rejects.toThrow(
      'its headers, cookies and URLs have 5001 different secrets: 5000 are looked for at most',
    );
  });

  it('in UTF-16 is read, as what Windows shells write', async () => {
    const file = Buffer.from(`\ufeff${har(entry({ body: call(1, 'ä'), text: text(result(1, 'x')) }))}`, 'utf16le');
    expect(detectFormat(file)).toBe('har');
    expect(messagesOf(await imported(new Uint8Array(file), 'har'))[0]).toContain('"ä"');
  });

  it('with bodies in base64 keeps the text of messages', async () => {
    const answer = '{"jsonrpc":"2.0","id":1,"result":{"n":1.0,"s":"☃"}}';
    const content = { mimeType: 'application/json', encoding: 'base64', text: Buffer.from(answer).toString('base64') };
    const read = await imported(har(entry({ body: call(1, 'a'), text: '', response: { content } })), 'har');
    expect(messagesOf(read)[1]).toBe(`server - 1 ${answer}`);
  });

  it('of several endpoints has to be told which one', async () => {
    const other = 'https://b.example/mcp';
    const file = har(
      entry({ body: call(1, 'a'), text: text(result(1, 'of a')) }),
      entry({ url: `${other}?x=1`, body: call(1, 'a'), text: text(result(1, 'of b')) }),
    );
    await expect(imported(file, 'har')).rejects.toThrow(
      /several MCP endpoints.*--url[\s\S]*a\.example\/mcp \(1\)\n {2}https:\/\/b\.example\/mcp \(1\)/,
    );
    expect(messagesOf(await imported(file, 'har', { url: other }))[1]).toContain('of b');
    await expect(imported(file, 'har', { url: 'http://c.example' })).rejects.toThrow(
      'no MCP endpoint is at http://c.example',
    );
  });

  it('that holds no MCP, no entries or no JSON is refused with the place', async () => {
    await expect(imported(har(entry({ method: 'GET' })), 'har')).rejects.toThrow(
      'there is no MCP in it: none of its 1 exchanges',
    );
    await expect(imported('{"log":{}}', 'har')).rejects.toThrow('no log.entries');
    await expect(imported('{"log":{"entries":[{}]}}', 'har')).rejects.toThrow('entry 1: it has no request');
    await expect(imported('{"log":', 'har')).rejects.toThrow('this is no JSON');
  });

  it('cut at any place is refused or read, and nothing else', async () => {
    const file = bytesOf(har(opening, entry({ ...ask(1, 'ä', 5), text: text(result(1, 'ö')) })));
    for (let at = 0; at < file.length; at += 1)
      await expect(imported(file.slice(0, at), 'har'), `cut at ${at}`).rejects.toMatchObject({ code: 'tape_invalid' });
  });

  it('without the bodies of requests is refused, saying so', async () => {
    const bare = { headers: [{ name: 'mcp-protocol-version', value: '2025-11-25' }] };
    const file = har(
      entry({ method: 'GET', url: 'http://a.example/' }),
      entry({ request: bare, text: text(result(1, 'x')) }),
    );
    await expect(imported(file, 'har')).rejects.toThrow(
      'the file has no bodies of requests (entry 2 is a POST of MCP): save it again with them',
    );
  });

  it('says which requests have no body, apart from other traffic', async () => {
    const read = await imported(
      har(
        entry({ at: 0, method: 'GET', url: 'http://a.example/' }),
        entry({ at: 1, session: SESSION, text: opened }),
        entry({ ...ask(1, 'a', 10), text: text(result(1, 'x')) }),
      ),
      'har',
    );
    expect(read.losses).toEqual([
      '1 entry was no MCP and left out',
      '1 request has no body in the file: left out',
      '1 session began before the file: its initialize is missing',
    ]);
  });

  it('with redirections has what they led to', async () => {
    const moved = { headers: [{ name: 'Location', value: 'https://a.example/mcp/' }] };
    const to = (path: string) => ({ url: `https://a.example${path}` });
    const read = await imported(
      har(
        entry({ at: 0, body: initialize(), status: 307, response: moved }),
        entry({ at: 1, ...to('/mcp/'), body: initialize(), text: opened, response: SESSION_HEADER }),
        entry({ at: 2, ...to('/mcp'), body: call(1, 'a'), session: SESSION, status: 308, response: moved }),
        entry({ at: 3, ...to('/mcp/'), body: call(1, 'a'), session: SESSION, text: text(result(1, 'x')) }),
      ),
      'har',
    );
    expect(orderOf(read)).toEqual(['client s1 1', 'server s1 1', 'client s1 2', 'server s1 2']);
    expect(read.losses).toEqual(['2 redirections were left out: what they led to is there']);
  });

  it('with entries of which one has no time is taken in its own order', async () => {
    const timeless = { ...entry({ body: call(2, 'b'), session: SESSION, text: text(result(2, 'y')) }) };
    const { startedDateTime: _, ...second } = timeless;
    const first = entry({ ...ask(1, 'a', 900), text: text(result(1, 'x')) });
    const third = entry({ ...ask(3, 'c', 800), text: text(result(3, 'z')) });
    const read = await imported(har(opening, first, second, third), 'har');
    expect(messagesOf(read).flatMap((line) => /"name":"([abc])"/.exec(line)?.[1] ?? [])).toEqual(['a', 'b', 'c']);
  });

  it('keeps the events before one that is too large', async () => {
    const huge = `data: ${'x'.repeat(34_000_000)}\n\n`;
    const note = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'before' } };
    const read = await imported(
      har(entry({ body: call(1, 'a'), type: 'text/event-stream', text: `${events(note)}${huge}` })),
      'har',
    );
    expect(messagesOf(read).join('')).toContain('before');
    expect(read.losses).toContain('1 answer is missing: what was asked ends as it broke off');
  });

  it('of a session that began before it says so', async () => {
    const read = await imported(har(entry({ ...ask(3, 'a', 0), text: text(result(3, 'x')) })), 'har');
    expect(read.losses).toEqual(['1 session began before the file: its initialize is missing']);
    expect(read.tape.records.find(({ k }) => k === 'sess')).toMatchObject({ resumed: true });
  });

  it('lacks answers: they end as they broke off', async () => {
    const read = await imported(
      har(
        opening,
        entry({ ...ask(1, 'failed', 10), status: 0, response: { _error: 'net::ERR_CONNECTION_RESET' } }),
        entry({ ...ask(2, 'left', 20), status: 0, response: { _error: 'net::ERR_ABORTED' } }),
        entry({ ...ask(3, 'streamed', 30), type: 'text/event-stream' }),
      ),
      'har',
    );
    expect(endsOf(read)).toEqual(['1 answered', '2 reset', '3 closed-by-client', '4 reset']);
    expect(read.losses).toEqual([
      '2 answers are missing: what was asked ends as it broke off',
      '1 answer has no body in the file (what was streamed is often not kept)',
    ]);
  });

  it('takes events from where browsers keep them, with their times', async () => {
    const at = Date.UTC(2026, 0, 1) / 1000;
    const progress = text({
      jsonrpc: '2.0',
      method: 'notifications/progress',
      params: { progressToken: 1, progress: 1 },
    });
    const read = await imported(
      har(
        opening,
        entry({
          ...ask(1, 'slow', 100),
          time: 1000,
          type: 'text/event-stream',
          more: {
            _eventSourceMessages: [
              { time: at + 0.4, eventName: 'message', eventId: '7', data: progress },
              { time: at + 1.05, eventName: 'message', eventId: '', data: text(result(1, 'done')) },
            ],
          },
        }),
        entry({ ...ask(2, 'quick', 500), text: text(result(2, 'meanwhile')) }),
      ),
      'har',
    );
    expect(messagesOf(read).map((line) => line.replace(/\{.*"(text|method)":"([^"]*)".*/, '$2'))).toEqual([
      'client s1 1 initialize',
      expect.stringContaining('server s1 1'),
      'client s1 2 tools/call',
      'server s1 2 notifications/progress',
      'client s1 3 tools/call',
      'server s1 3 meanwhile',
      'server s1 2 done',
    ]);
    expect(read.losses).toEqual([]);
    expect(read.tape.records.find((record) => record.k === 'msg' && record.sse !== undefined)).toMatchObject({
      sse: { id: '7' },
    });
  });

  it('has streams without times: questions come before their answers, news before what is asked for again', async () => {
    const note = (method: string) => ({ jsonrpc: '2.0', method });
    const question = { jsonrpc: '2.0', id: 'q', method: 'roots/list' };
    const read = await imported(
      har(
        opening,
        entry({
          at: 10,
          time: 900,
          method: 'GET',
          session: SESSION,
          type: 'text/event-stream',
          text: events(note('notifications/tools/list_changed'), note('notifications/message')),
        }),
        entry({
          at: 20,
          session: SESSION,
          body: { jsonrpc: '2.0', id: 1, method: 'tools/list' },
          text: text(result(1, 'old')),
        }),
        entry({
          time: 300,
          ...ask(2, 'roots', 100),
          type: 'text/event-stream',
          text: events(question, result(2, 'rooted')),
        }),
        entry({ at: 250, session: SESSION, body: { jsonrpc: '2.0', id: 'q', result: { roots: [] } }, status: 202 }),
        entry({
          at: 500,
          session: SESSION,
          body: { jsonrpc: '2.0', id: 3, method: 'tools/list' },
          text: text(result(3, 'new')),
        }),
      ),
      'har',
    );
    const words = messagesOf(read).map((line) =>
      /(?:"text":|"method":)"([\w/]+)"|("roots":\[\])/.exec(line)?.slice(1).join(''),
    );
    expect(words.slice(2)).toEqual([
      'tools/list',
      'old',
      'tools/call',
      'roots/list',
      '"roots":[]',
      'rooted',
      'notifications/tools/list_changed',
      'notifications/message',
      'tools/list',
      'new',
    ]);
  });

  it('of the transport with a stream and an endpoint for messages is one line', async () => {
    const post = (at: number, body: object) =>
      entry({ at, url: 'http://a.example/messages?sessionId=planted-session-7', body: text(body), status: 202 });
    const stream = `event: endpoint\ndata: /messages?sessionId=planted-session-7\n\n${events(opened, result(1, 'first'), result(2, 'second'))}`;
    const read = await imported(
      har(
        entry({ at: 0, method: 'GET', url: 'http://a.example/sse', type: 'text/event-stream', text: stream }),
        post(10, initialize()),
        post(20, { jsonrpc: '2.0', method: 'notifications/initialized' }),
        post(30, call(1, 'a')),
        post(40, call(2, 'b')),
      ),
      'har',
    );
    expect(orderOf(read)).toEqual([
      'client s1 1',
      'server s1 1',
      'client s1 2',
      'client s1 4',
      'server s1 4',
      'client s1 5',
      'server s1 5',
    ]);
    expect(read.losses).toEqual(['3 events of streams have no time: put where what was asked and answered allows it']);
    expect(read.golden.join('')).not.toContain('planted-session');
  });

  it('by mitmproxy has streams in Latin-1, which are UTF-8', async () => {
    const wrong = Buffer.from(events(result(1, 'Grüße ☃'))).toString('latin1');
    const stream = entry({ body: call(1, 'a'), type: 'text/event-stream', text: wrong });
    const read = await imported(harBy('mitmproxy', stream), 'har');
    expect(messagesOf(read)[1]).toContain('Grüße ☃');
    expect(read.losses[0]).toContain('Latin-1');
    // Somebody else means what is there, strange as it looks.
    const meant = await imported(harBy('WebInspector', stream), 'har');
    expect(messagesOf(meant)[1]).toContain('GrÃ¼Ã\u009fe');
    expect(meant.losses).toEqual([]);
    const right = await imported(
      har(entry({ body: call(1, 'a'), type: 'text/event-stream', text: events(result(1, 'Grüße')) })),
      'har',
    );
    expect(messagesOf(right)[1]).toContain('Grüße');
    expect(right.losses).toEqual([]);
  });

  it('is a tape again when it was exported from one, and replays the same', async () => {
    const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 9, progress: 1 } };
    const server = legacyServer({
      'tools/call:slow': (message) =>
        (async function* () {
          yield progress;
          yield result(message.id, 'slowly');
        })(),
    });
    const drive = async (client: TestClient): Promise<string[]> => {
      const answers = [
        await client.open('c'),
        await client.post(call(2, 'slow', {}, { progressToken: 9 })),
        await client.post(call(3, 'other')),
      ];
      await client.end();
      return answers.map(({ text: body }) => body);
    };
    let live: string[] = [];
    const [tape] = await record(server, async (client) => {
      live = await drive(client);
    });
    if (tape === undefined) throw new Error('nothing was recorded');
    const read = await imported([...harOf([tape], { version: '1' })].join(''), 'har');
    expect(read.golden).toEqual(goldenOf(tape, { newDigest }).lines.slice(1, -1));
    const again = readTape(bytesOf(goldenOf(read.tape, { newDigest }).lines.join('')), { name: 'x', newDigest });
    const { replay } = replayRig([again]);
    expect(await drive(new TestClient(replay))).toHaveLength(live.length);
  });
});
