import { type Handler, ProxyError } from '@shadowcat/kernel';
import { jsonReply, streamReply } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import type { RecorderOptions } from '../src/index.js';
import { call, linesOf, type RecordingRig, recordingRig, result, TestClient, TestSession } from './support/rig.js';
import { legacyServer } from './support/servers.js';

/** A rig whose turns of the event loop end when the test says so. */
function turningRig(options: Partial<RecorderOptions> = {}): RecordingRig & { endTurn(): void; waiting(): number } {
  const works: (() => void)[] = [];
  const rig = recordingRig(options, { defer: (work) => void works.push(work) });
  return {
    ...rig,
    endTurn: () => {
      for (const work of works.splice(0)) work();
    },
    waiting: () => works.length,
  };
}

/** What of the messages of a tape is there: `client call-1`. */
function messagesOf(rig: RecordingRig, tape = 0): string[] {
  return linesOf(rig.tapes[tape] ?? { text: '' })
    .filter((line) => line.startsWith('{"k":"msg"'))
    .map((line) => /"from":"(\w+)".*?"id":(\d+)/.exec(line)?.slice(1).join(' ') ?? line);
}

const answering: Handler = async (exchange) => {
  const { id } = JSON.parse(new TextDecoder().decode(exchange.body.ready)) as { id: number };
  return jsonReply(result(id, 'x'));
};

/** All kinds of ways in which an exchange can go. */
async function session(rig: RecordingRig): Promise<void> {
  const server = legacyServer({
    'tools/call:echo': (message) => result(message.id, 'hi'),
    'tools/call:stream': async function* (message) {
      yield { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } };
      yield result(message.id, 'streamed');
    },
    'tools/call:fail': () => {
      throw new ProxyError('upstream_unreachable', 'no');
    },
  });
  const client = new TestClient(rig.layer(server));
  rig.clock.advance(3);
  await client.open();
  const { session: open } = client;
  rig.clock.advance(2);
  await client.post(call(1, 'echo'));
  rig.layer.note(open?.id, 'err', 'a line of stderr');
  await client.post(call(2, 'stream'));
  rig.clock.advance(1);
  await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 9 } });
  await client.post(call(3, 'fail')).catch(() => undefined);
  await client.post(`[${JSON.stringify(call(4, 'echo'))}]`);
  await client.post(call(5, 'echo'), { target: `/mcp?session=${open?.id}` });
  await client.end();
  await rig.layer.close();
}

describe('recording at the end of the turn', () => {
  it('makes the same tape as recording at once', async () => {
    const [atOnce, turning] = [recordingRig(), turningRig()];
    await session(atOnce);
    await session(turning);
    const text = (rig: RecordingRig): string =>
      (rig.tapes[0]?.text ?? '').replaceAll(/"sha":"\w+"/g, '').replaceAll(/~redacted\.\w+~/g, 'hidden');
    expect(text(turning)).toBe(text(atOnce));
    expect(text(turning)).not.toContain('client-facing-');
  });

  it('puts what passed in a turn on the tape together, in order, stamped with its own time', async () => {
    const rig = turningRig();
    const client = new TestClient(rig.layer(answering));
    rig.clock.advance(1);
    await client.post(call(1, 'x'));
    rig.clock.advance(2);
    await client.post(call(2, 'x'));
    expect(rig.waiting()).toBe(1);
    expect(messagesOf(rig)).toEqual([]);
    expect(rig.layer.state()).toMatchObject({ exchanges: 2, queued: 4 });
    rig.clock.advance(5);
    rig.endTurn();
    expect(messagesOf(rig)).toEqual(['client 1', 'server 1', 'client 2', 'server 2']);
    const times = (rig.tapes[0]?.text ?? '').matchAll(/"k":"(\w+-?)","t":([1-9]\d*)/g);
    expect([...times].map(([, kind, t]) => `${kind} ${t}`)).toEqual(['conn 1000', 'http 2000']);
  });

  it('has what comes in pieces on the tape before it is passed on, behind what passed before', async () => {
    const rig = turningRig();
    const event = `data: ${JSON.stringify(result(2, 'x'))}\n\n`;
    const handler = rig.layer(async (exchange) =>
      new TextDecoder().decode(exchange.body.ready).includes('"id":1')
        ? jsonReply(result(1, 'x'))
        : streamReply(
            (async function* () {
              yield event;
            })(),
          ),
    );
    const client = new TestClient(handler);
    await client.post(call(1, 'x'));
    const reply = await client.raw(call(2, 'x'));
    expect(messagesOf(rig)).toEqual(['client 1', 'server 1', 'client 2']);
    const chunks = reply.body.bytes()[Symbol.asyncIterator]();
    await chunks.next();
    expect(messagesOf(rig).at(-1)).toBe('server 2');
    expect(await chunks.next()).toMatchObject({ done: true });
    await reply[Symbol.asyncDispose]();
  });

  it('keeps the records of a session that ends in the turn in its own tape', async () => {
    const rig = turningRig({ layout: 'directory' });
    const client = new TestClient(rig.layer(legacyServer({ 'tools/call:echo': ({ id }) => result(id, 'x') })));
    await client.open();
    rig.endTurn();
    await client.post(call(1, 'echo'));
    expect(client.session).toBeInstanceOf(TestSession);
    client.session?.end();
    expect(rig.tapes).toHaveLength(1);
    expect(messagesOf(rig).slice(-2)).toEqual(['client 1', 'server 1']);
    expect(linesOf(rig.tapes[0] ?? { text: '' }).at(-1)).toContain('"k":"conn","s":"s1","event":"closed"');
    rig.endTurn();
    expect(rig.tapes).toHaveLength(1);
  });

  it('does not let much wait', async () => {
    const rig = turningRig();
    const client = new TestClient(rig.layer(answering));
    await client.post(call(1, 'x'));
    await client.post(call(2, 'x', { text: 'a '.repeat(40_000) }));
    expect(messagesOf(rig)).toEqual(['client 1', 'server 1', 'client 2']);
    await rig.layer.close();
    expect(messagesOf(rig)).toEqual(['client 1', 'server 1', 'client 2', 'server 2']);
  });

  it('does not happen where the recording is required', async () => {
    const rig = turningRig({ required: true });
    const seen: string[][] = [];
    const client = new TestClient(
      rig.layer(async (exchange) => {
        seen.push(messagesOf(rig));
        return answering(exchange);
      }),
    );
    await client.post(call(1, 'x'));
    expect(seen).toEqual([['client 1']]);
    expect(messagesOf(rig)).toEqual(['client 1', 'server 1']);
  });
});
