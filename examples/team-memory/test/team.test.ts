import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { useTape } from 'shadowcat/vitest';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { freshMemory } from '../src/memory-server.ts';
import { Team } from '../src/team.ts';

/** Only started while a tape is recorded: SHADOWCAT_MODE=record. */
const upstream = freshMemory();

describe('a team', () => {
  it('knows what it was told', async () => {
    const tape = await useTape('knows.tape.jsonl', { upstream });
    const team = await Team.connect(tape.transport());
    onTestFinished(() => team.close());
    await team.knows('ada', 'tapes');
    await team.knows('grace', 'compilers');
    expect(await team.whoKnows('tapes')).toEqual(['ada']);
  });

  it('is told over HTTP', async () => {
    const tape = await useTape('over-http.tape.jsonl', { upstream });
    const team = await Team.connect(new StreamableHTTPClientTransport(new URL(tape.url)));
    onTestFinished(() => team.close());
    expect(await team.whoKnows('gardening')).toEqual([]);
  });

  it('is told by a process of its own', async () => {
    const tape = await useTape('over-stdio.tape.jsonl', { upstream });
    const team = await Team.connect(new StdioClientTransport(tape.command));
    onTestFinished(() => team.close());
    expect(await team.whoKnows('knitting')).toEqual([]);
  });

  it('says so when the memory is out of order', async () => {
    // Recorded once, and broken on purpose at replay: the overlay says how.
    const tape = await useTape('knows.tape.jsonl', {
      replayOnly: true,
      overlay: 'broken.overlay.yaml',
      allUsed: false,
    });
    const team = await Team.connect(tape.transport());
    onTestFinished(() => team.close());
    await expect(team.whoKnows('tapes')).rejects.toThrow('out of order');
  });
});

describe('a team that several tests ask', () => {
  const tape = useTape('shared.tape.jsonl', { upstream });
  let team: Team;
  beforeAll(async () => {
    team = await Team.connect(tape.transport());
    await team.knows('linus', 'kernels');
  });
  afterAll(() => team.close());

  it('finds who knows', async () => {
    expect(await team.whoKnows('kernels')).toEqual(['linus']);
  });

  it('finds nobody', async () => {
    expect(await team.whoKnows('cobol')).toEqual([]);
  });
});
