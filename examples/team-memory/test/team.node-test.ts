import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { useTape } from 'shadowcat/node-test';
import { freshMemory } from '../src/memory-server.ts';
import { Team } from '../src/team.ts';

describe('a team', () => {
  it('knows what it was told', async () => {
    // The tape of the Vitest test: the same client asks the same, so either of them records the same bytes.
    const tape = await useTape('knows.tape.jsonl', { upstream: freshMemory() });
    const team = await Team.connect(tape.transport());
    await team.knows('ada', 'tapes');
    await team.knows('grace', 'compilers');
    assert.deepEqual(await team.whoKnows('tapes'), ['ada']);
    await team.close();
  });

  it('forgets nobody', async () => {
    const tape = await useTape('everybody.tape.jsonl', { upstream: freshMemory() });
    const team = await Team.connect(tape.transport());
    await team.knows('ada', 'engines');
    await team.knows('charles', 'engines');
    assert.deepEqual(await team.whoKnows('engines'), ['ada', 'charles']);
    await team.close();
  });
});
