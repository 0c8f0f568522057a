import { ProxyError, silentLog } from '@shadowcat/kernel';
import { jsonReply, ManualClock, type MemoryConnection, memoryLine, settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { Group } from '../src/group.js';
import { OpeningGate } from '../src/protect/opening-gate.js';
import { UpstreamMember } from '../src/upstream-member.js';
import { of, TestGate, TestSession } from './support/members.js';

function bench() {
  const gate = new TestGate();
  gate.strict = true;
  const openings = new OpeningGate({ name: 'cmd', isShared: (key) => key === 'all' }, gate);
  const servers: MemoryConnection[] = [];
  const ends: (ProxyError | undefined)[] = [];
  const heard: string[] = [];
  const open = async (key: string) => {
    const { near, far } = memoryLine();
    far.listen({ message: () => {}, closed: () => {} });
    servers.push(far);
    const line = await openings.open(key, async () => near);
    line.listen({ message: (text) => void heard.push(text), closed: (reason) => void ends.push(reason) });
    return line;
  };
  const lease = async (): Promise<string> => 'lease';
  return { gate, openings, open, servers, ends, heard, lease };
}

describe('what counts against a target that lines are opened to', () => {
  it('is nothing once a line has said something, however it ends', async () => {
    const { gate, open, servers, ends, heard } = bench();
    const line = await open('session:a');
    await servers[0]?.send('{}');
    await settled();
    expect([heard, gate.outcomes]).toEqual([['{}'], ['answered']]);
    line.destroy(new ProxyError('child_exited', 'exited with code 9'));
    await settled();
    expect([ends.length, gate.outcomes]).toEqual([1, ['answered']]);
  });

  it('is a line that is over before it has said anything, and what made it so', async () => {
    const { gate, open, servers } = bench();
    await open('session:a');
    servers[0]?.destroy(new ProxyError('child_exited', 'exited with code 7'));
    await settled();
    const silent = await open('session:b');
    silent.destroy(new ProxyError('upstream_timeout', 'did not answer initialize'));
    expect(gate.outcomes).toEqual(['transport-failure', 'timeout']);
  });

  it('is not a line that was ended before it was asked anything', async () => {
    const { gate, open } = bench();
    const line = await open('session:a');
    await line[Symbol.asyncDispose]();
    expect(gate.outcomes).toEqual(['abandoned']);
  });

  it('is an opening that failed, unless the proxy gave it up', async () => {
    const { gate, openings } = bench();
    for (const code of ['spawn_failed', 'draining'] as const) {
      const failing = openings.open('session:a', () => Promise.reject(new ProxyError(code, code)));
      await expect(failing).rejects.toMatchObject({ code });
    }
    expect(gate.outcomes).toEqual(['transport-failure', 'abandoned']);
  });

  it.each([
    ['all', ['transport-failure']],
    ['session:a', []],
  ])('is a line for %s that is held back: %j', async (key, outcomes) => {
    const { gate, openings } = bench();
    const held = openings.acquire(key, () =>
      Promise.reject(new ProxyError('child_exited', 'the next start is in 4 s')),
    );
    await expect(held).rejects.toMatchObject({ code: 'child_exited' });
    expect(gate.outcomes).toEqual(outcomes);
  });
});

describe('while the gate is closed', () => {
  it('lines that are there are used, and no other is waited for', async () => {
    const { gate, openings, open, lease } = bench();
    const line = await open('session:a');
    gate.condition = 'ejected';
    expect(await openings.acquire('session:a', lease)).toBe('lease');
    await expect(openings.acquire('session:b', lease)).rejects.toMatchObject({
      code: 'upstream_unavailable',
      retryAfter: 2,
    });
    line.destroy(new ProxyError('child_exited', 'it died'));
    await expect(openings.acquire('session:a', lease)).rejects.toMatchObject({ code: 'upstream_unavailable' });
  });

  it('sessions stay where their lines are, and move when those need another one', async () => {
    const gates = [new TestGate(), new TestGate()];
    let needsLine = false;
    const [home, other] = gates.map((gate, i) => {
      const handler = async () => {
        if (needsLine && !gate.available()) throw new ProxyError('upstream_unavailable', 'no new line');
        return jsonReply({ from: i });
      };
      return new UpstreamMember({ name: `c${i}`, handler, gated: 'openings' }, gate);
    });
    if (home === undefined || other === undefined) throw new Error('there are two');
    const group = new Group(
      [home, other],
      { name: 'g' },
      { clock: new ManualClock(), log: silentLog, random: () => 0 },
    );
    const session = new TestSession('c0');
    if (gates[0] !== undefined) gates[0].condition = 'ejected';
    const ask = async (): Promise<string | undefined> => {
      await (await group.handle(of(session)))[Symbol.asyncDispose]();
      return session.upstream?.target;
    };
    expect(await ask()).toBe('c0');
    needsLine = true;
    expect(await ask()).toBe('c1');
    expect(gates.flatMap(({ outcomes }) => outcomes)).toEqual([]);
  });
});
