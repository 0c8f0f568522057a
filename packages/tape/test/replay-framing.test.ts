import { headerOf } from '@shadowcat/kernel';
import { streamReply } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { NO_OVERLAY } from '../src/index.js';
import { call, linesOf, record, recordingRig, replayRig, result, TestClient } from './support/rig.js';
import { type Answers, legacyServer } from './support/servers.js';

const answers: Answers = {
  'tools/call:json': (message) => result(message.id, 'as JSON'),
  'tools/call:stream': (message) => once(result(message.id, 'as a stream')),
  'tools/call:primed': (message) =>
    streamReply(
      (async function* () {
        yield 'id: 1\nretry: 700\ndata: \n\n';
        yield `id: 2\ndata: ${JSON.stringify(result(message.id, 'after a priming event'))}\n\n`;
      })(),
    ),
  '(stream)': () =>
    streamReply(
      (async function* () {
        yield 'id: 9\nretry: 800\ndata: \n\n';
        yield ': nothing to say\n\n';
      })(),
    ),
};

async function* once<T>(item: T): AsyncGenerator<T> {
  yield item;
}

async function tour(client: TestClient): Promise<string[]> {
  const seen: string[] = [];
  await client.open();
  for (const name of ['json', 'stream', 'primed']) {
    const { headers, text } = await client.post(call(1, name));
    seen.push(`${headerOf(headers, 'content-type')} ${text}`);
  }
  return seen;
}

describe('how an answer is framed', () => {
  it('is as it was recorded: JSON, or a stream, which tells when to come back', async () => {
    const tapes = await record(legacyServer(answers), async (client) => void (await tour(client)));
    const { replay } = replayRig(tapes);
    const [json, stream, primed] = await tour(new TestClient(replay));
    expect(json).toMatch(/^application\/json \{/);
    expect(stream).toMatch(/^text\/event-stream data: \{/);
    expect(primed).toMatch(/^text\/event-stream retry: 700\n\ndata: \{.*after a priming event/);
  });

  it('of a batch is a stream where one of its recorded answers was', async () => {
    const tapes = await record(legacyServer(answers), async (client) => void (await tour(client)));
    const { replay } = replayRig(tapes);
    const client = new TestClient(replay);
    await client.open();
    const headers = { 'mcp-protocol-version': '2025-03-26' };
    const mixed = await client.post([call(1, 'json'), call(2, 'stream')], { headers });
    expect(headerOf(mixed.headers, 'content-type')).toBe('text/event-stream');
    expect(mixed.text).toContain('"id":1');
    expect(mixed.text).toContain('"id":2');
  });
});

describe('a stream that is cut before its first message', () => {
  it.each([
    [1, 'a client that was not primed, and has no id to come back with, may ask again'],
    [2, 'a client that has seen a message comes back for the rest, and the recording is used'],
  ])('at event %i: %s', async (event) => {
    const tapes = await record(legacyServer(answers), async (client) => void (await tour(client)));
    const fault = { where: 'o.yaml:1:1', method: 'tools/call', fault: 'disconnect', event, nth: [1] } as const;
    const { replay } = replayRig(tapes, { resumable: true, overlay: { ...NO_OVERLAY, faults: [fault] } });
    const client = new TestClient(replay);
    await client.open();
    await client.post(call(1, 'stream'));
    const again = client.post(call(2, 'stream')).then(({ text }) => text, String);
    expect(await again).toContain(event === 1 ? '"id":2' : 'exhausted');
  });
});

describe('a recording of a replay', () => {
  it('has the same heads and events as the one that is replayed, event ids apart', async () => {
    const first = recordingRig();
    await tour(new TestClient(first.layer(legacyServer(answers))));
    await first.layer.close();
    const second = recordingRig();
    await tour(new TestClient(second.layer(replayRig(first.read()).replay)));
    await second.layer.close();
    const plain = (rig: typeof first): string[] =>
      rig.tapes
        .flatMap(linesOf)
        .map((line) => line.replace(/"id":"\d+",?/, '').replace(/"sse":\{("event":"message")?\},/, ''));
    expect(plain(second).filter((line) => !/"k":"(end|ckpt)"/.test(line))).toEqual(
      plain(first).filter((line) => !/"k":"(end|ckpt)"/.test(line)),
    );
  });
});

describe('blank lines beside messages', () => {
  it('are not on the tape: the end of a comment is no text of the server', async () => {
    const rig = recordingRig();
    const client = new TestClient(rig.layer(legacyServer(answers)));
    await client.open();
    const standing = await client.stream();
    for await (const _ of standing.body.frames()) await Promise.resolve();
    await rig.layer.close();
    expect(rig.tapes.flatMap(linesOf).filter((line) => line.includes('"k":"raw"'))).toEqual([]);
  });
});
