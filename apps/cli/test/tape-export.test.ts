import { copyFileSync, cpSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import otlpRoot from '@opentelemetry/otlp-transformer/build/src/generated/root.js';
import { silentLog } from '@shadowcat/kernel';
import { openTapeFile } from '@shadowcat/tape-file';
import { Ajv } from 'ajv';
// @ts-expect-error: it is data, without types of its own
import harSchemas from 'har-schema';
import mermaid from 'mermaid';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../src/stack/system.js';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const TAPES = join(import.meta.dirname, '..', '..', '..', 'packages', 'tape', 'test', 'tapes');

function withTapes(): string {
  const cwd = emptyDirectory({});
  for (const form of ['capture', 'golden'])
    copyFileSync(join(TAPES, `v1-${form}.tape.jsonl`), join(cwd, `${form}.tape.jsonl`));
  cpSync(join(TAPES, 'blobs'), join(cwd, 'blobs'), { recursive: true });
  return cwd;
}

const HEAD = '{"k":"head","v":1,"form":"capture","requires":[],"scope":"all","at":"2026-11-21T10:00:00.000Z"}';

/** A finished capture of these records. */
async function capture(records: readonly object[], cwd = emptyDirectory({})): Promise<string> {
  const writer = openTapeFile(join(cwd, 'a.tape.jsonl'), { head: HEAD }, { clock: systemClock, log: silentLog });
  for (const record of records) writer.append(JSON.stringify(record));
  await writer.finish();
  return cwd;
}

const message = (x: string, from: string, m: object): object => ({
  k: 'msg',
  t: 1500,
  s: 's1',
  x,
  from,
  m: { jsonrpc: '2.0', ...m },
});

/** What would break out of a diagram, a URL or a JSON text if it could. */
const HOSTILE = 'x"; end\n%% <img src=x onerror=1> #59; #quot; wrap: `-->>`\u202e\\ \u0000 ﬂ°°35¶ß 😀 {{}} $$';

async function hostile(): Promise<string> {
  return capture([
    {
      k: 'http',
      t: 1,
      s: 's1',
      x: HOSTILE,
      from: 'client',
      method: 'POST',
      target: '//evil.example/?a=%zz&b',
      headers: {},
    },
    message(HOSTILE, 'client', { id: HOSTILE, method: 'tools/call', params: { name: HOSTILE } }),
    message(HOSTILE, 'server', { method: HOSTILE }),
    message(HOSTILE, 'server', { id: 1, method: 'elicitation/create', params: { message: HOSTILE } }),
    message(HOSTILE, 'server', { id: HOSTILE, error: { code: -1, message: HOSTILE } }),
    { k: 'raw', t: 1e300, s: 's1', x: HOSTILE, from: 'server', text: HOSTILE },
    { k: 'err', t: 1, s: 's1', text: HOSTILE },
    { k: 'note', t: -1e300, s: 's1', text: HOSTILE },
    { k: 'x-', t: 1, s: 's1', x: HOSTILE, end: 'error', code: HOSTILE, message: HOSTILE },
    { k: 'gap', lost: 3, why: HOSTILE },
  ]);
}

const exported = async (format: string, tapes: readonly string[], cwd: string) =>
  shadowcat(['tape', 'export', ...tapes, '--format', format], { cwd });

interface Har {
  readonly log: {
    readonly pages: readonly { readonly id: string; readonly title: string }[];
    readonly entries: readonly HarEntry[];
  };
}
interface HarEntry {
  readonly pageref: string;
  readonly startedDateTime: string;
  readonly time: number;
  readonly request: {
    readonly method: string;
    readonly url: string;
    readonly headers: readonly { readonly name: string; readonly value: string }[];
    readonly postData?: { readonly text: string };
  };
  readonly response: {
    readonly status: number;
    readonly content: { readonly mimeType: string; readonly text: string; readonly size: number };
    readonly headers: readonly { readonly name: string; readonly value: string }[];
    readonly _error?: string;
  };
  readonly _mcp: { readonly line: number; readonly events?: readonly number[] };
}

function validHar(text: string): Har {
  // The schemas are of a draft that this Ajv knows under another name, and use words of their own.
  const ajv = new Ajv({ strict: false, validateFormats: false });
  const plain = ({ $schema: _, ...schema }: Record<string, unknown>): object => schema;
  const schemas = Object.values(harSchemas as Readonly<Record<string, Record<string, unknown>>>);
  for (const schema of schemas) ajv.addSchema(plain(schema));
  const har = JSON.parse(text) as Har;
  const valid = ajv.validate('har.json#', har);
  expect(ajv.errors ?? []).toEqual([]);
  expect(valid).toBe(true);
  return har;
}

describe('tape export --format har', () => {
  it.each(['capture', 'golden'])('is valid HAR 1.2 of a %s', async (form) => {
    const { code, out } = await exported('har', [`${form}.tape.jsonl`], withTapes());
    expect(code).toBe(0);
    const { entries, pages } = validHar(out).log;
    expect(entries).toHaveLength(8);
    expect(pages.map(({ id }) => id).sort()).toEqual(['-', 's1']);
  });

  it('has the bodies as they were, streams with their events, and times', async () => {
    const { out, err } = await exported('har', ['capture.tape.jsonl'], withTapes());
    const { entries } = validHar(out).log;
    const call = entries.find(({ request }) => request.postData?.text.includes('"draw"'));
    expect(call).toMatchObject({
      pageref: 's1',
      startedDateTime: '2026-11-21T10:15:00.003Z',
      time: 2.75,
      timings: { send: 0.25, wait: 0.25, receive: 2.25 },
      request: { method: 'POST', url: 'http://localhost/mcp' },
      response: { status: 200, content: { mimeType: 'text/event-stream' } },
      _mcp: { end: 'answered', session: 's1', line: 16, upstream: 'http://127.0.0.1:3000/mcp' },
    });
    expect(call?.response.content.text).toMatch(
      /^event: message\nid: f3a1-1\ndata: \{.*progress.*\}\n\nid: f3a1-2\ndata: .*sampling.*\n\nid: f3a1-3\ndata: .*\n\n$/,
    );
    expect(call?._mcp.events).toHaveLength(3);
    expect(call?.response.content.size).toBe(call?.response.content.text.length);
    expect(entries[0]?.response.headers).toContainEqual({ name: 'mcp-session-id', value: 's1' });
    expect(entries[1]?.request.headers).toContainEqual({ name: 'mcp-session-id', value: 's1' });
    expect(entries.map(({ response }) => response.status)).toEqual([200, 202, 200, 200, 202, 500, 0, 200]);
    expect(entries[6]?.response._error).toBe('upstream_timeout');
    expect(entries[5]?.response.content.text).toBe('Internal Server Error');
    expect(err).toBe(
      'shadowcat: capture.tape.jsonl:39: 1 records are missing here (disk full)\n' +
        'HAR has no place for 1 line of stderr, 1 note of the proxy, 1 gap and 1 record of another kind\n',
    );
  });

  it('says that a golden tape has no clock, and has its blobs in place', async () => {
    const { out, err } = await exported('har', ['golden.tape.jsonl'], withTapes());
    const { entries } = validHar(out).log;
    expect(new Set(entries.map(({ startedDateTime, time }) => `${startedDateTime} ${time}`))).toEqual(
      new Set(['2000-01-01T00:00:00.000Z 0']),
    );
    expect(out).toContain('BwcHBwcHBwcH');
    expect(err).toContain('golden.tape.jsonl has no clock: every entry begins at 2000-01-01 and takes no time\n');
  });

  it('tells the sessions of several tapes apart', async () => {
    const { out } = await exported('har', ['capture.tape.jsonl', 'golden.tape.jsonl'], withTapes());
    const { entries, pages } = validHar(out).log;
    expect(entries).toHaveLength(16);
    expect(pages.map(({ id }) => id)).toEqual(['1.s1', '1.-', '2.-', '2.s1']);
  });

  it('is that of Streamable HTTP for traffic without heads', async () => {
    const cwd = await capture([
      message('1', 'client', { id: 1, method: 'initialize', params: {} }),
      message('1', 'server', { id: 1, result: {} }),
      { k: 'x-', t: 1, s: 's1', x: '1', end: 'answered' },
      message('2', 'client', { method: 'notifications/initialized' }),
      { k: 'x-', t: 1, s: 's1', x: '2', end: 'answered' },
      message('3', 'client', { id: 2, method: 'tools/call', params: {} }),
      message('3', 'server', { method: 'notifications/message' }),
      message('3', 'server', { id: 2, result: {} }),
      { k: 'x-', t: 1, s: 's1', x: '3', end: 'answered' },
    ]);
    const { entries } = validHar((await exported('har', ['a.tape.jsonl'], cwd)).out).log;
    expect(
      entries.map(({ request, response }) => [request.method, response.status, response.content.mimeType]),
    ).toEqual([
      ['POST', 200, 'application/json'],
      ['POST', 202, 'x-unknown'],
      ['POST', 200, 'text/event-stream'],
    ]);
    expect(entries[0]?.request.headers).toContainEqual({ name: 'content-type', value: 'application/json' });
  });

  it('holds what is hostile as text', async () => {
    const { log } = validHar((await exported('har', ['a.tape.jsonl'], await hostile())).out);
    expect(log.entries[0]?.request.url).toBe('http://localhost//evil.example/?a=%zz&b');
    expect(log.entries[0]?.time).toBeGreaterThanOrEqual(0);
    expect(log.entries[0]?.response.content.text).toContain('onerror');
  });
});

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly OtlpAttribute[];
  readonly events?: readonly { readonly name: string; readonly timeUnixNano: string }[];
  readonly links?: readonly { readonly traceId: string }[];
  readonly status: { readonly code?: number; readonly message?: string };
}
interface OtlpAttribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: string };
}

/** A message type of protobuf.js. */
interface ProtobufType {
  fromObject(plain: object): object;
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
  toObject(message: object, options: object): object;
}

/** The spans, when OpenTelemetry's own protocol classes take every member of them and lose none. */
function validSpans(text: string): readonly OtlpSpan[] {
  const { opentelemetry } = otlpRoot as unknown as {
    opentelemetry: { proto: { collector: { trace: { v1: { ExportTraceServiceRequest: ProtobufType } } } } };
  };
  const request = opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
  // JSON of OTLP has ids in hex; the library reads bytes from Base64.
  const ids = new Set(['traceId', 'spanId', 'parentSpanId']);
  const parsed = JSON.parse(text, (key, value: unknown) =>
    ids.has(key) ? Buffer.from(String(value), 'hex').toString('base64') : value,
  ) as Record<string, unknown>;
  const bytes = request.encode(request.fromObject(parsed)).finish();
  const read = request.toObject(request.decode(bytes), { longs: String, enums: Number, bytes: String });
  expect(JSON.parse(JSON.stringify(read))).toEqual(JSON.parse(JSON.stringify(parsed)));
  const made = JSON.parse(text) as {
    readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[] }[];
  };
  return made.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}

const attributesOf = ({ attributes }: OtlpSpan): Record<string, string | undefined> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]));

describe('tape export --format otlp', () => {
  it('has a trace for a session, a span for a request, and below it what the server asked', async () => {
    const { code, out, err } = await exported('otlp', ['capture.tape.jsonl'], withTapes());
    expect(code).toBe(0);
    const spans = validSpans(out);
    const byName = new Map(spans.map((span) => [span.name, span]));
    const [root, call, sampling] = ['session', 'tools/call draw', 'sampling/createMessage'].map((it) => byName.get(it));
    expect(spans.map(({ name }) => name)).toEqual([
      'tools/list',
      'session',
      'initialize',
      'tools/call draw',
      'tools/call fail',
      'tools/call slow',
      'sampling/createMessage',
      'notifications/initialized',
    ]);
    expect(call).toMatchObject({ traceId: root?.traceId, parentSpanId: root?.spanId, kind: 3, status: {} });
    expect(sampling).toMatchObject({ traceId: root?.traceId, parentSpanId: call?.spanId, kind: 2, status: {} });
    expect(call?.events?.map(({ name }) => name)).toEqual(['notifications/progress']);
    expect(root?.events?.map(({ name }) => name)).toEqual(['notifications/tools/list_changed']);
    expect(byName.get('tools/list')?.traceId).not.toBe(root?.traceId);
    expect(attributesOf(call as OtlpSpan)).toEqual({
      'mcp.method.name': 'tools/call',
      'mcp.session.id': 's1',
      'mcp.protocol.version': '2025-11-25',
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'draw',
      'jsonrpc.request.id': '1',
      'network.transport': 'tcp',
      'network.protocol.name': 'http',
      'server.address': '127.0.0.1',
      'server.port': '3000',
      'http.response.status_code': '200',
      'shadowcat.tape.line': '17',
    });
    expect(byName.get('tools/call slow')).toMatchObject({ status: { code: 2, message: 'the server did not answer' } });
    expect(attributesOf(byName.get('tools/call slow') as OtlpSpan)['error.type']).toBe('upstream_timeout');
    expect(attributesOf(byName.get('tools/call fail') as OtlpSpan)['error.type']).toBe('500');
    const began = BigInt(Date.parse('2026-11-21T10:15:00.000Z')) * 1_000_000n;
    expect(BigInt(call?.startTimeUnixNano ?? 0) - began).toBe(4_000_000n);
    expect(BigInt(call?.endTimeUnixNano ?? 0) - began).toBe(6_250_000n);
    expect(err).toMatch(/\nOTLP has no place for the contents of 13 messages, .*1 gap.*\n$/);
  });

  it('gives the same tape the same ids, and another one others', async () => {
    const cwd = withTapes();
    const first = await exported('otlp', ['golden.tape.jsonl'], cwd);
    expect((await exported('otlp', ['golden.tape.jsonl'], cwd)).out).toBe(first.out);
    expect(first.err).toContain('golden.tape.jsonl has no clock: spans begin at 2000-01-01');
    const traces = new Set(validSpans(first.out).map(({ traceId }) => traceId));
    const others = validSpans((await exported('otlp', ['capture.tape.jsonl'], cwd)).out);
    expect(others.filter(({ traceId }) => traces.has(traceId))).toEqual([]);
    const starts = validSpans(first.out).map(({ startTimeUnixNano }) => startTimeUnixNano);
    expect(new Set(starts).size).toBeGreaterThanOrEqual(starts.length - 1);
  });

  it('belongs to the trace that the request names, and knows an error from a tool that failed', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const call = (id: number, meta: object) => ({ id, method: 'tools/call', params: { name: 'a', _meta: meta } });
    const cwd = await capture([
      message('1', 'client', call(1, { traceparent })),
      message('1', 'server', { id: 1, result: { isError: true, content: [] } }),
      message('2', 'client', call(2, { traceparent: '00-00000000000000000000000000000000-00f067aa0ba902b7-01' })),
      message('2', 'server', { id: 2, error: { code: -32602, message: 'no such tool' } }),
    ]);
    const [root, traced, own] = validSpans((await exported('otlp', ['a.tape.jsonl'], cwd)).out);
    expect(traced).toMatchObject({
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      parentSpanId: '00f067aa0ba902b7',
      links: [{ traceId: root?.traceId, spanId: root?.spanId }],
      status: { code: 2 },
    });
    expect(attributesOf(traced as OtlpSpan)['error.type']).toBe('tool_error');
    expect(own).toMatchObject({ traceId: root?.traceId, status: { code: 2, message: 'no such tool' } });
    expect(attributesOf(own as OtlpSpan)).toMatchObject({
      'error.type': '-32602',
      'rpc.response.status_code': '-32602',
    });
  });

  it('holds what is hostile as text', async () => {
    const spans = validSpans((await exported('otlp', ['a.tape.jsonl'], await hostile())).out);
    for (const { startTimeUnixNano, endTimeUnixNano } of spans)
      expect(BigInt(endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(startTimeUnixNano));
    expect(spans.map(({ name }) => name)).toContain(`tools/call ${HOSTILE}`);
  });
});

describe('tape export --format mermaid', () => {
  it('is a sequence diagram', async () => {
    const { code, out, err } = await exported('mermaid', ['capture.tape.jsonl'], withTapes());
    expect(code).toBe(0);
    expect(await mermaid.parse(out)).toMatchObject({ diagramType: 'sequence' });
    const lines = out.split('\n').map((line) => line.trim());
    expect(lines).toEqual(
      expect.arrayContaining([
        'participant P as proxy',
        'Note over C,S: session s1, legacy 2025-11-25, client 1 and server 2',
        'C->>S: tools/call draw',
        'C-)S: notifications/initialized',
        'S-)C: notifications/progress',
        'S->>C: sampling/createMessage',
        'C-->>S: result (sampling/createMessage)',
        'S-->>C: result (tools/call draw)',
        'Note right of S: err drawing',
        'Note over P: note the session was opened again',
        'P--xC: error the server did not answer',
        'Note over C,S: exchange 3 ended, closed-by-client',
        'Note over C,S: 1 records are missing (disk full)',
        'Note over C,S: without a session, modern 2026-07-28',
      ]),
    );
    expect(err).toContain('the diagram has no place for the contents of 13 messages');
  });

  it('is one whatever the tape holds', async () => {
    const { out } = await exported('mermaid', ['a.tape.jsonl'], await hostile());
    expect(await mermaid.parse(out)).toMatchObject({ diagramType: 'sequence' });
    const texts = out.split('\n').map((line) => line.slice(line.indexOf(':') + 1));
    expect(texts.join('')).not.toMatch(/[<>"`{}$%\\:|\u202e]/);
    // As many statements as there are things to tell: nothing of the tape became one.
    const { db } = await mermaid.mermaidAPI.getDiagramFromText(out);
    expect((db as unknown as { getMessages(): unknown[] }).getMessages()).toHaveLength(1 + 9);
  });

  it('takes the words of its own language for texts', async () => {
    const words = [
      'end',
      'END',
      'loop x',
      '',
      ' ',
      'title a',
      'note',
      'as',
      'else',
      '-',
      '+',
      '()',
      '@',
      '~~~',
      '=',
      'wrap',
      ',',
      '.',
    ];
    const asked = words.map((method, x) => message(String(x), 'client', { id: x, method }));
    const texts = words.map((text) => ({ k: 'err', t: 1, s: 's1', text }));
    const { out } = await exported('mermaid', ['a.tape.jsonl'], await capture([...asked, ...texts]));
    expect(await mermaid.parse(out)).toMatchObject({ diagramType: 'sequence' });
    const { db } = await mermaid.mermaidAPI.getDiagramFromText(out);
    expect((db as unknown as { getMessages(): unknown[] }).getMessages()).toHaveLength(1 + 2 * words.length);
  });

  it('says when Mermaid would refuse it for its size', async () => {
    const many = Array.from({ length: 1500 }, (_, x) =>
      message(String(x), 'client', { id: x, method: 'tools/call', params: { name: 'a-tool-with-a-name' } }),
    );
    const { err } = await exported('mermaid', ['a.tape.jsonl'], await capture(many));
    expect(err).toMatch(/the diagram has \d+ characters: Mermaid draws 50000/);
  });
});

describe('tape export --format html', () => {
  it('is the page of tape show, with all tapes on it', async () => {
    const cwd = withTapes();
    const argv = ['tape', 'export', 'capture.tape.jsonl', 'golden.tape.jsonl', '--format', 'html', '-o', 'page.html'];
    const { code, out, err } = await shadowcat(argv, { cwd });
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(statSync(join(cwd, 'page.html')).mode & 0o777).toBe(0o600);
    const page = readFileSync(join(cwd, 'page.html'), 'utf8');
    expect(page.match(/<h1>/g)).toHaveLength(2);
    expect(page).not.toMatch(/<script|src=|href=/);
    expect(err).toMatch(/\nthe page has no place for 30 HTTP heads, /);
  });
});

describe('tape export', () => {
  it('never writes over a tape that it reads, and what it replaces becomes the owner\u2019s alone', async () => {
    const cwd = withTapes();
    const before = readFileSync(join(cwd, 'golden.tape.jsonl'));
    const to = async (out: string) =>
      shadowcat(['tape', 'export', 'golden.tape.jsonl', '--format', 'har', '-o', out], { cwd });
    expect(await to('golden.tape.jsonl')).toMatchObject({
      code: 2,
      err: 'shadowcat: -o: golden.tape.jsonl is what is read: name another file\n',
    });
    expect(readFileSync(join(cwd, 'golden.tape.jsonl'))).toEqual(before);
    writeFileSync(join(cwd, 'old.har'), 'old', { mode: 0o644 });
    expect(await to('old.har')).toMatchObject({ code: 0 });
    expect(statSync(join(cwd, 'old.har')).mode & 0o777).toBe(0o600);
  });

  it('says of a tape without redaction that its secrets are in the export', async () => {
    const cwd = emptyDirectory({});
    const head = { ...JSON.parse(HEAD), redaction: { policy: 'none', key: '' } };
    const writer = openTapeFile(
      join(cwd, 'a.tape.jsonl'),
      { head: JSON.stringify(head) },
      { clock: systemClock, log: silentLog },
    );
    writer.append(JSON.stringify(message('1', 'client', { id: 1, method: 'ping' })));
    await writer.finish();
    for (const format of ['har', 'otlp', 'html', 'mermaid'])
      expect((await exported(format, ['a.tape.jsonl'], cwd)).err).toContain(
        'a.tape.jsonl was recorded without redaction: secrets that are on it are in this file too\n',
      );
  });

  it('refuses a tape that is cut off, lacks a blob or is none, and writes nothing', async () => {
    const cwd = withTapes();
    const text = readFileSync(join(cwd, 'capture.tape.jsonl'), 'utf8');
    writeFileSync(join(cwd, 'cut.tape.jsonl'), text.slice(0, -100));
    writeFileSync(join(cwd, 'none.tape.jsonl'), 'hello\n');
    const sub = emptyDirectory({});
    copyFileSync(join(cwd, 'golden.tape.jsonl'), join(sub, 'golden.tape.jsonl'));
    for (const [at, name] of [
      [cwd, 'cut'],
      [cwd, 'none'],
      [sub, 'golden'],
    ] as const) {
      const outcome = await exported('har', [`${name}.tape.jsonl`], at);
      expect(outcome).toMatchObject({ code: 3, out: '' });
      expect(outcome.err).toMatch(new RegExp(`${name}\\.tape\\.jsonl:\\d+: `));
    }
  });

  it.each([
    [['a.tape.jsonl'], /required option '--format <format>'/],
    [['a.tape.jsonl', '--format', 'pdf'], /Allowed choices are har, otlp, html, mermaid/],
    [['nothing.tape.jsonl', '--format', 'har'], /there is no tape nothing/],
    [['a.tape.jsonl', '--format', 'har', '-o', 'no/where.har'], /-o: there is no directory no/],
  ])('is told what is wrong with %j', async (argv, message) => {
    const cwd = await capture([]);
    const outcome = await shadowcat(['tape', 'export', ...argv], { cwd });
    expect(outcome).toMatchObject({ code: 2, err: expect.stringMatching(message) });
  });
});
