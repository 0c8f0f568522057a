import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { goldenOf, readTape, type Tape, withBlobs } from '../src/index.js';
import { libraryOf } from '../src/library.js';
import type { RecordedLane, Recording, Step } from '../src/recording.js';
import { bytesOf, call, newDigest, record, result } from './support/rig.js';
import { legacyServer } from './support/servers.js';

/** What replay reads from a tape, without ids and places. */
function played(tape: Tape): unknown {
  const { sessions, sessionless } = libraryOf([tape]);
  return [...sessions, sessionless].map(laneOf);
}

function laneOf({ recordings, stream, streamStatus, notices, changes }: RecordedLane): unknown {
  return {
    asked: recordings.map(recordingOf),
    stream: stream.map(stepOf),
    streamStatus,
    notices: [...notices.values()].flat().map(({ method }) => method),
    changes: changes.length,
  };
}

function recordingOf({ key, steps, status, raw, exit }: Recording): unknown {
  return { key, steps: steps.map(stepOf), status, raw, exit };
}

function stepOf({ kind, method, value, awaits, after, answer }: Step): unknown {
  return {
    kind,
    method,
    says: value['result'] ?? value['error'] ?? kind,
    awaits: awaits.map((step) => step.method),
    afterSomething: after.length > 0,
    answered: answer !== undefined,
  };
}

function golden(tape: Tape): Tape {
  const { lines, blobs } = goldenOf(tape, { newDigest });
  const read = readTape(bytesOf(lines.join('')), { name: tape.name, newDigest });
  const files = new Map(blobs.map(({ path, bytes }) => [path, bytes]));
  return withBlobs(read, (path) => files.get(path), newDigest);
}

describe('replay reads the same from both forms', () => {
  it('of a tape with everything', () => {
    const bytes = readFileSync(join(import.meta.dirname, 'tapes', 'v1-capture.tape.jsonl'));
    const tape = readTape(bytes, { name: 'v1', newDigest });
    expect(played(golden(tape))).toEqual(played(tape));
  });

  it('of parallel calls, one of which asks the client', async () => {
    const question = { jsonrpc: '2.0', id: 'q', method: 'sampling/createMessage', params: {} };
    let answered: () => void = () => undefined;
    const answer = new Promise<void>((resolve) => {
      answered = resolve;
    });
    const server = legacyServer({
      'tools/call:ask': async function* (message) {
        yield question;
        await answer;
        yield result(message.id, 'asked');
      },
      '(response)': () => {
        answered();
        return {};
      },
    });
    const [tape] = await record(server, async (client) => {
      await client.open();
      const asking = client.post(call(1, 'ask'));
      await client.post(call(2, 'other'));
      // By then the client has the question.
      await settled();
      await client.post({ jsonrpc: '2.0', id: 'q', result: { role: 'assistant' } });
      await asking;
      await client.post(call(3, 'last'));
      await client.end();
    });
    if (tape === undefined) throw new Error('nothing was recorded');
    expect(played(golden(tape))).toEqual(played(tape));
    const [lane] = libraryOf([golden(tape)]).sessions;
    expect(lane?.recordings.find(({ target }) => target === 'ask')?.answer?.awaits).toHaveLength(1);
  });
});
