import { createHmac } from 'node:crypto';
import { ProxyError, silentLog } from '@shadowcat/kernel';
import { jsonReply, ManualClock } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { type MemoryTape, memoryTape } from '../src/memory-writer.js';
import { MAX_LINE } from '../src/parse-record.js';
import { readTape } from '../src/read-tape.js';
import { type Recorder, recorder } from '../src/recorder.js';
import { messageRecord } from '../src/recorder-messages.js';
import { createRedactor } from '../src/redact.js';
import type { RedactionOptions } from '../src/redact-rules.js';
import { bytesOf, call, linesOf, newDigest, result, TestClient } from './support/rig.js';
import { legacyServer } from './support/servers.js';

const hmac = (text: string): string => createHmac('sha256', 'k').update(text).digest('hex');
const hidden = (secret: string): string => `~redacted.${hmac(secret).slice(0, 16)}~`;

interface Rig {
  readonly layer: Recorder;
  tape(): MemoryTape;
}

function rigWith(redactLater?: (text: string) => Promise<string> | undefined, rules: RedactionOptions = {}): Rig {
  const clock = new ManualClock();
  let tape: MemoryTape | undefined;
  const layer = recorder(
    { layout: 'file' },
    {
      open: (_, head) => {
        tape = memoryTape('t.tape.jsonl', head, { clock, newDigest });
        return tape;
      },
      redactor: createRedactor(rules, hmac),
      ...(redactLater === undefined ? {} : { redactLater }),
      keyId: 'key-1',
      clock,
      log: silentLog,
    },
  );
  return {
    layer,
    tape: () => {
      if (tape === undefined) throw new Error('no tape was opened');
      return tape;
    },
  };
}

describe('a secret', () => {
  it('is on no line of the tape, wherever it passes', async () => {
    const rig = rigWith();
    const planted = 'pl4nted-S3cret-9';
    const server = legacyServer({
      'tools/call:login': (message) =>
        result(message.id, `{"token":"${planted}","at":"https://u:${planted}@example.com/?api_key=${planted}"}`),
    });
    const client = new TestClient(rig.layer(server));
    await client.open();
    rig.layer.note(client.session?.id, 'err', `DEBUG Authorization: Bearer ${planted}`);
    rig.layer.note(undefined, 'raw', `export API_TOKEN=${planted}`);
    const headers = {
      authorization: `Bearer ${planted}`,
      'x-api-key': planted,
      'mcp-param-token': planted,
      'mcp-param-target': `https://example.com/?token=${planted}`,
      'last-event-id': `token=${planted}`,
    };
    const target = `/mcp?token=${planted}`;
    await client.post(call(1, 'login', { password: planted, argv: ['--token', planted] }), { headers, target });
    await client.end();
    await rig.layer.close();
    const { text } = rig.tape();
    expect(text).not.toContain(planted);
    expect(text).toContain(hidden(planted));
    expect(readTape(bytesOf(text), { name: 't', newDigest }).problems).toEqual([]);
  });

  it('is not on stderr when it is a private key that comes line by line', async () => {
    const rig = rigWith();
    const lines = ['-----BEGIN RSA ', 'MIIEowIBAAKCAQEA', 'aGk=', '-----END RSA ', 'after'];
    const pem = lines.map((line) => (line.endsWith(' ') ? `${line}PRIVATE KEY-----` : line));
    for (const [at, line] of pem.entries()) {
      rig.layer.note(undefined, 'err', line);
      // Another child's lines are in between.
      if (at === 1) rig.layer.note(undefined, 'raw', 'said meanwhile');
    }
    await rig.layer.close();
    const { text } = rig.tape();
    for (const secret of lines.slice(1, 3)) expect(text).not.toContain(secret);
    for (const said of ['after', 'said meanwhile']) expect(text).toContain(said);
  });

  it('is not in a header that repeats a hidden argument under another name', async () => {
    const rig = rigWith();
    const client = new TestClient(rig.layer(async () => jsonReply(result(1, 'x'))));
    const headers = { 'mcp-param-region': 'eu', 'mcp-param-kx': '=?base64?aHVudGVyMg==?=', 'mcp-param-ky': 'hunter2' };
    await client.post(call(1, 'login', { region: 'eu', password: 'hunter2' }), { headers });
    await rig.layer.close();
    const line = linesOf(rig.tape()).find((found) => found.includes('"k":"http"')) ?? '';
    expect(line).toContain('"mcp-param-region":"eu"');
    expect(line).not.toContain('mcp-param-k');
  });
});

describe('a large message', () => {
  const large = (id: number, text: string): object => ({ ...result(id, text), note: 'x'.repeat(100) });

  it('is redacted elsewhere, and keeps its place on the tape', async () => {
    const turns: PromiseWithResolvers<void>[] = [];
    const redactor = createRedactor({}, hmac);
    const rig = rigWith((text) => {
      if (!text.includes('xxx')) return undefined;
      const turn = Promise.withResolvers<void>();
      turns.push(turn);
      return turn.promise.then(() => redactor.json(text));
    });
    let id = 0;
    const client = new TestClient(rig.layer(async () => jsonReply(large(++id, `token=s${id}`))));
    await client.post(call(1, 'a'));
    await client.post(call(2, 'b'));
    rig.layer.note(undefined, 'note', 'after');
    expect(rig.tape().text).not.toContain('"name":"b"');
    expect(rig.layer.state().queued).toBeGreaterThan(0);
    turns[1]?.resolve();
    turns[0]?.resolve();
    await rig.layer.close();
    const order = linesOf(rig.tape()).map((line) => /"k":"([^"]+)"/.exec(line)?.[1]);
    const exchange = ['http', 'msg', 'http', 'msg', 'x-'];
    expect(order).toEqual(['head', 'conn', ...exchange, ...exchange, 'note', 'conn', 'end']);
    expect(rig.tape().text).toContain(`token=${hidden('s1')}`);
    expect(rig.tape().text).toContain(`token=${hidden('s2')}`);
    expect(readTape(bytesOf(rig.tape().text), { name: 't', newDigest }).problems).toEqual([]);
  });

  it('is not recorded when it takes too long, and that is on the tape', async () => {
    const late = new ProxyError('cancelled', 'the work was cancelled');
    const rig = rigWith((text) => (text.includes('xxx') ? Promise.reject(late) : undefined));
    await new TestClient(rig.layer(async () => jsonReply(large(1, 'token=s1')))).post(call(1, 'a'));
    await rig.layer.close();
    expect(rig.tape().text).toMatch(/"why":"not recorded: redacting its \d+ characters took too long","text":""/);
    expect(rig.tape().text).not.toContain('token=');
  });

  it('is redacted here when that fails, and is text when it is nested too deep', async () => {
    const failures = [new ProxyError('draining', 'the workers are closed'), new ProxyError('parse_error', 'too deep')];
    const rig = rigWith((text) => (text.includes('xxx') ? Promise.reject(failures.shift()) : undefined));
    let id = 0;
    const client = new TestClient(rig.layer(async () => jsonReply(large(++id, `token=s${id}`))));
    await client.post(call(1, 'a'));
    await client.post(call(2, 'b'));
    await rig.layer.close();
    const { text } = rig.tape();
    expect(text).toContain(`token=${hidden('s1')}`);
    expect(text).toContain(`"why":"too deep to redact"`);
    expect(text).toContain(`token=${hidden('s2')}`);
    expect(text).not.toMatch(/token=s\d/);
  });
});

describe('a message that no reader would take', () => {
  it('is left out, and the tape says so', () => {
    const text = `{"jsonrpc":"2.0","method":"${'x'.repeat(MAX_LINE)}"}`;
    const made = messageRecord(text, { from: 'server' }, { redactor: createRedactor({}, hmac) });
    expect(made).toEqual({
      kind: 'raw',
      fields: `"from":"server","why":"not recorded: its ${text.length} characters are too many for a line","text":""`,
    });
  });
});
