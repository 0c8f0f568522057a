import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ReplayConfig, VerifyConfig } from '../src/stack/contract.js';
import { runReplay } from '../src/stack/run-replay.js';
import { runVerify } from '../src/stack/run-verify.js';
import { emptyDirectory, type Started, shadowcat } from './support/fake-host.js';
import { liveServer, text } from './support/live-server.js';
import { call, madeTape } from './support/made-tape.js';

/**
 * What the exit codes of `replay`, `verify` and `tape` mean: each can be reached, and means the same everywhere. A replay that ends
 * with 4 has waited for its client: that is in the tests of real processes.
 */

/** Tapes in each state that a command can meet. */
async function tapes(): Promise<string> {
  const cwd = emptyDirectory({
    'broken.tape.jsonl': 'no tape\n',
    'nothing.yaml': 'ignore: [{ method: none, at: /a }]\n',
  });
  const path = (name: string): string => join(cwd, `${name}.tape.jsonl`);
  const say = (value: string) => [call('say', text(value))];
  await madeTape(cwd, 'whole.tape.jsonl', say('one'));
  await madeTape(cwd, 'other.tape.jsonl', say('two'));
  await madeTape(cwd, 'secret.tape.jsonl', say('password=hunter2-and-more-9f3a'));
  for (const name of ['cut', 'rest']) {
    await madeTape(cwd, `${name}.tape.jsonl`, say('one'));
    truncateSync(path(name), readFileSync(path(name), 'utf8').lastIndexOf('{"k":"end"') + 4);
  }
  await madeTape(cwd, 'edited.tape.jsonl', say('one'));
  await shadowcat(['tape', 'fmt', 'edited.tape.jsonl'], { cwd });
  writeFileSync(path('edited'), readFileSync(path('edited'), 'utf8').replace('"text":"one"', '"text":"uno"'));
  return cwd;
}

describe('tape', () => {
  it.each([
    [0, ['ls', '.']],
    [2, ['ls', 'none']],
    [0, ['show', 'whole.tape.jsonl']],
    [1, ['show', 'edited.tape.jsonl']],
    [2, ['show', 'none.tape.jsonl']],
    [3, ['show', 'cut.tape.jsonl']],
    [3, ['show', 'broken.tape.jsonl']],
    [0, ['fmt', 'whole.tape.jsonl']],
    [0, ['fmt', 'edited.tape.jsonl']],
    [2, ['fmt', 'whole.tape.jsonl', '-o', 'none/x']],
    [3, ['fmt', 'cut.tape.jsonl']],
    [0, ['recover', 'rest.tape.jsonl', '-o', 'rest-whole.tape.jsonl']],
    [2, ['recover', 'rest.tape.jsonl', '-o', 'whole.tape.jsonl']],
    [3, ['recover', 'broken.tape.jsonl', '-o', 'x.tape.jsonl']],
    [0, ['diff', 'whole.tape.jsonl', 'whole.tape.jsonl']],
    [1, ['diff', 'whole.tape.jsonl', 'other.tape.jsonl']],
    [2, ['diff', 'whole.tape.jsonl']],
    [3, ['diff', 'whole.tape.jsonl', 'cut.tape.jsonl']],
    [0, ['lint', 'whole.tape.jsonl']],
    [1, ['lint', 'whole.tape.jsonl', 'edited.tape.jsonl']],
    [2, ['lint']],
    [3, ['lint', 'edited.tape.jsonl', 'cut.tape.jsonl']],
    [0, ['scan', 'whole.tape.jsonl']],
    [2, ['scan', 'none.tape.jsonl']],
    [3, ['scan', 'broken.tape.jsonl']],
    [3, ['scan', 'cut.tape.jsonl']],
    [0, ['scan', 'edited.tape.jsonl']],
    [6, ['scan', 'cut.tape.jsonl', 'secret.tape.jsonl']],
    [6, ['scan', 'secret.tape.jsonl']],
    [6, ['scan', '.']],
    [0, ['redact', 'secret.tape.jsonl', '-o', 'clean.tape.jsonl']],
    [2, ['redact', 'none.tape.jsonl']],
    [3, ['redact', 'broken.tape.jsonl']],
    [0, ['bind', '--suggest', 'whole.tape.jsonl']],
    [2, ['bind', 'whole.tape.jsonl']],
    [3, ['bind', '--suggest', 'cut.tape.jsonl']],
  ])('%i of %j', async (code, words) => {
    const ended = await shadowcat(['tape', ...words], { cwd: await tapes() });
    expect(ended).toMatchObject({ code });
    expect(ended.err).not.toMatch(/^ +at /m);
  });
});

describe('verify', () => {
  const stack = ({ config, io }: Started): Promise<number> => runVerify(config as VerifyConfig, io);
  const readOnly = { result: { tools: [{ name: 'say', annotations: { readOnlyHint: true } }] } };
  const server = (): ReturnType<typeof liveServer> =>
    liveServer({ 'tools/list': () => readOnly, 'tools/call:say': () => text('one') });

  it.each([
    [0, ['whole.tape.jsonl']],
    [1, ['other.tape.jsonl']],
    [1, ['whole.tape.jsonl', 'other.tape.jsonl']],
    [1, ['whole.tape.jsonl', '--report', 'junit=broken.tape.jsonl/below/a-file.xml']],
    [2, ['whole.tape.jsonl', '--level', 'some']],
    [2, ['none.tape.jsonl']],
    [2, ['whole.tape.jsonl', '--overlay', 'none.yaml']],
    [3, ['cut.tape.jsonl']],
    [3, ['whole.tape.jsonl', 'broken.tape.jsonl']],
  ])('%i of %j', async (code, words) => {
    const { url } = await server();
    const ended = await shadowcat(['verify', ...words, '--upstream', url], { cwd: await tapes(), stack });
    expect(ended).toMatchObject({ code });
  });

  it('4 of what may have effects, and 1 when something else differs too', async () => {
    const { url } = await liveServer({ 'tools/call:say': () => text('one') });
    const cwd = await tapes();
    const to = ['--upstream', url];
    expect(await shadowcat(['verify', 'whole.tape.jsonl', ...to], { cwd, stack })).toMatchObject({ code: 4 });
    expect(await shadowcat(['verify', 'other.tape.jsonl', ...to], { cwd, stack })).toMatchObject({ code: 4 });
    const allowed = await shadowcat(['verify', 'other.tape.jsonl', '--allow-effects', ...to], { cwd, stack });
    expect(allowed).toMatchObject({ code: 1 });
  });

  it.each([
    [5, ['--upstream', 'http://127.0.0.1:9/mcp']],
    [5, ['--', process.execPath, '-e', 'process.exit(3)']],
    [5, ['--', 'no-such-command-anywhere']],
    [5, ['--', './no/such/command']],
    [2, ['--cwd', 'none', '--', 'no-such-command-anywhere']],
    [2, []],
  ])('%i of a server that is not there: %j', async (code, words) => {
    const ended = await shadowcat(['verify', 'whole.tape.jsonl', ...words], { cwd: await tapes(), stack });
    expect(ended).toMatchObject({ code });
  });
});

describe('replay', () => {
  /** Replays until one request has been answered. */
  const asking =
    (name: string) =>
    ({ config, io }: Started): Promise<number> => {
      const over = new AbortController();
      const post = (url: string, body: object, session: object = {}): Promise<Response> =>
        fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...session },
          body: JSON.stringify({ jsonrpc: '2.0', ...body }),
        });
      const client = async (url: string): Promise<void> => {
        const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'made', version: '1' } };
        const opened = await post(url, { id: 1, method: 'initialize', params });
        await opened.text();
        const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
        const asked = { id: 2, method: 'tools/call', params: { name, arguments: {} } };
        if (name !== '') await (await post(url, asked, session)).text();
      };
      const print = (url: string): void => void client(url).finally(() => over.abort('SIGTERM'));
      return runReplay(config as ReplayConfig, { ...io, print, stop: over.signal });
    };
  const listen = ['--listen', '127.0.0.1:0'];

  it.each([
    [0, 'say', ['whole.tape.jsonl']],
    [0, '', ['whole.tape.jsonl']],
    [1, '', ['whole.tape.jsonl', '--all-used']],
    [1, 'another', ['whole.tape.jsonl']],
    [1, 'say', ['whole.tape.jsonl', '--report', 'junit=broken.tape.jsonl/below/a-file.xml']],
    [2, 'say', ['none.tape.jsonl']],
    [2, 'say', ['whole.tape.jsonl', '--time', 'some']],
    [3, 'say', ['broken.tape.jsonl']],
    [3, 'say', ['cut.tape.jsonl']],
  ])('%i when its client asks for %j: %j', async (code, name, words) => {
    const cwd = await tapes();
    const ended = await shadowcat(['replay', ...words, ...listen], { cwd, stack: asking(name) });
    expect(ended).toMatchObject({ code });
  });

  const plain = ({ config, io }: Started): Promise<number> => runReplay(config as ReplayConfig, io);

  it('1 of rules that touch nothing, where that is looked at', async () => {
    const words = ['replay', 'whole.tape.jsonl', '--overlay', 'nothing.yaml', '--dry-run'];
    expect(await shadowcat(words, { cwd: await tapes(), stack: plain })).toMatchObject({ code: 1 });
  });

  it('2 of a port that is taken', async () => {
    const { url } = await liveServer({});
    const words = ['replay', 'whole.tape.jsonl', '--listen', new URL(url).host];
    expect(await shadowcat(words, { cwd: await tapes(), stack: plain })).toMatchObject({ code: 2 });
  });
});
