import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClientKind, drive } from '../src/clients.js';
import { type ConformanceReport, type Requirements, runConformance } from '../src/conformance.js';
import {
  everythingServer,
  filesystemServer,
  fixtureServer,
  memoryServer,
  type ServerUnderTest,
  startEverything,
  startFixture,
} from '../src/servers.js';
import type { Target } from '../src/test-client.js';
import type { Transcript } from '../src/transcript.js';

/** The control: what the proxy's tests compare with must itself be complete and the same every time. */

let fixture: Awaited<ReturnType<typeof startFixture>>;
let everything: Awaited<ReturnType<typeof startEverything>>;

beforeAll(async () => {
  [fixture, everything] = await Promise.all([startFixture(), startEverything()]);
});

afterAll(async () => {
  await Promise.all([fixture[Symbol.asyncDispose](), everything[Symbol.asyncDispose]()]);
});

describe('conformance of the fixture', () => {
  const failing = ({ scenarios }: ConformanceReport): string[] =>
    scenarios.filter(({ checks }) => checks.some(({ status }) => status === 'FAILURE')).map(({ name }) => name);
  const scored = ({ scenarios }: ConformanceReport): number => scenarios.filter((scenario) => scenario.scored).length;
  const conformance = (requirements: Requirements): Promise<ConformanceReport> =>
    runConformance({ url: fixture.url.replace('127.0.0.1', 'localhost'), requirements });

  it('passes every check of 2025-11-25', async () => {
    const report = await conformance('2025-11-25');
    expect(failing(report)).toEqual([]);
    expect({ passed: report.passed, failed: report.failed, scored: scored(report) }).toEqual({
      passed: 84,
      failed: 0,
      scored: 30,
    });
  });

  it('passes every scored scenario of 2026-07-28; only those of the tasks extension fail', async () => {
    const report = await conformance('2026-07-28');
    expect(failing(report).filter((name) => !name.startsWith('tasks-'))).toEqual([]);
    expect({ passed: report.passed, failed: report.failed, scored: scored(report) }).toEqual({
      passed: 164,
      failed: 30,
      scored: 37,
    });
  });
});

async function twice(kind: ClientKind, target: Target, server: ServerUnderTest): Promise<Transcript> {
  const options = { tour: server.tour, ...(server.roots && { roots: server.roots }) };
  await server.reset();
  const first = await drive(kind, target, options);
  await server.reset();
  expect(await drive(kind, target, options)).toEqual(first);
  return first;
}

/** What went wrong on a tour, shortly: the requests that failed on purpose. */
function failures(transcript: Transcript): string[] {
  return transcript
    .filter(({ answer, error }) => error !== undefined || (answer as { isError?: boolean }).isError === true)
    .map(({ request, params }) => {
      const { name, uri } = (params ?? {}) as { name?: string; uri?: string };
      return [request, name ?? uri].filter((part) => part !== undefined).join(' ');
    });
}

const stepOf = (transcript: Transcript, name: string) =>
  transcript.find(({ params }) => (params as { name?: string } | undefined)?.name === name);

const kinds: readonly ClientKind[] = ['v1', 'v2-legacy', 'v2-auto', 'v2-pinned'];

describe.each(kinds)('tour of the fixture with %s', (kind) => {
  it.each(['http', 'stdio'])('is complete and repeatable over %s', async (transport) => {
    const server = fixtureServer();
    const transcript = await twice(kind, transport === 'http' ? { url: fixture.url } : server.target, server);
    const modern = kind === 'v2-auto' || kind === 'v2-pinned';
    expect(transcript).toHaveLength(modern ? 27 : 28);
    expect(failures(transcript)).toEqual([
      'tools/call test_error_handling',
      'resources/read test://no-such-resource',
      'tools/call no_such_tool',
    ]);
    expect(stepOf(transcript, 'progress')?.progress).toHaveLength(5);
    expect(stepOf(transcript, 'log')?.logs).toHaveLength(3);
    expect(stepOf(transcript, 'test_sampling')?.asked?.map(({ method }) => method)).toEqual(['sampling/createMessage']);
    expect(stepOf(transcript, 'test_elicitation')?.asked?.map(({ method }) => method)).toEqual(['elicitation/create']);
    expect(stepOf(transcript, 'list_roots')?.answer).toMatchObject({
      structuredContent: { roots: [{ uri: 'file:///srv/e2e-root', name: 'e2e' }] },
    });
  });
});

describe.each(kinds.slice(0, 3))('tours of the reference servers with %s', (kind) => {
  it.each(['http', 'stdio'])('server-everything over %s', async (transport) => {
    const server = everythingServer();
    const transcript = await twice(kind, transport === 'http' ? { url: everything.url } : server.target, server);
    expect(failures(transcript)).toEqual([
      'tools/call no-such-tool',
      'resources/read demo://resource/static/document/no-such-file.md',
    ]);
    expect(stepOf(transcript, 'trigger-long-running-operation')?.progress).toHaveLength(4);
    expect(stepOf(transcript, 'trigger-sampling-request')?.asked).toHaveLength(1);
    expect(stepOf(transcript, 'trigger-elicitation-request')?.asked).toHaveLength(1);
  });

  it('server-filesystem over stdio', async () => {
    await using server = await filesystemServer();
    const transcript = await twice(kind, server.target, server);
    expect(failures(transcript)).toEqual(['tools/call read_text_file', 'resources/list', 'prompts/list']);
  });

  it('server-memory over stdio', async () => {
    await using server = await memoryServer();
    expect(failures(await twice(kind, server.target, server))).toEqual(['prompts/list']);
  });
});
