import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { VerifyConfig } from '../src/stack/contract.js';
import { runVerify } from '../src/stack/run-verify.js';
import { type Circumstances, emptyDirectory, type Outcome, shadowcat } from './support/fake-host.js';
import { type LiveAnswers, liveServer, text } from './support/live-server.js';
import { call, type Made, madeTape } from './support/made-tape.js';

/** `verify` as a whole, in this process, against a server in this process. */

function verify(where: string | Circumstances, ...flags: readonly string[]): Promise<Outcome> {
  return shadowcat(['verify', 't.tape.jsonl', ...flags], {
    ...(typeof where === 'string' ? { cwd: where } : where),
    stack: ({ config, io }) => runVerify(config as VerifyConfig, io),
  });
}

async function against(
  sent: readonly (Made | readonly Made[])[],
  answers: LiveAnswers,
): Promise<{ readonly cwd: string; readonly tape: string; readonly bodies: string[]; readonly to: readonly string[] }> {
  const cwd = emptyDirectory();
  const tape = await madeTape(cwd, 't.tape.jsonl', sent);
  const { url, bodies } = await liveServer(answers);
  return { cwd, tape, bodies, to: ['--upstream', url] };
}

const sum = (value: number): { readonly result: object } => ({
  result: { content: [{ type: 'text', text: String(value) }], structuredContent: { sum: value } },
});
const tools = (...list: readonly object[]): LiveAnswers => ({ 'tools/list': () => ({ result: { tools: list } }) });
const readOnly = (name: string, more: object = {}): object => ({ name, annotations: { readOnlyHint: true }, ...more });

describe('verify', () => {
  const outputSchema = { type: 'object', properties: { sum: { type: 'number' } }, required: ['sum'] };

  it.each([
    ['json', 1],
    ['bytes', 1],
    ['shape', 0],
    ['contract', 0],
  ])('finds another number at level %s: exit code %i', async (level, code) => {
    const answers = { ...tools(readOnly('add', { outputSchema })), 'tools/call:add': () => sum(6) };
    const { cwd, to } = await against([call('add', sum(5))], answers);
    expect(await verify(cwd, ...to, '--level', level)).toMatchObject({ code });
  });

  it.each([
    ['that ends', [], 0],
    ['that cannot begin', ['--upstream', 'ws://127.0.0.1:9/mcp'], 5],
  ])('draws how far it is on a terminal, and leaves nothing of it: a run %s', async (_, flags, code) => {
    const { cwd, to } = await against([call('a', text('a'))], {
      ...tools(readOnly('a')),
      'tools/call': () => text('a'),
    });
    const target = flags.length === 0 ? to : flags;
    const ended = await verify({ cwd, terminal: true }, ...target);
    expect(ended.code).toBe(code);
    expect(ended.err).toMatch(/^\r[█░]+ 0\/2/);
    const last = ended.err.split('\r').at(-1) ?? '';
    expect(last.startsWith('\u001b[K')).toBe(true);
    expect(last).not.toMatch(/[█░]/);
  });

  it('sends a batch as the batch that it was', async () => {
    const answers = { 'tools/call': ({ name = '' }) => text(name) };
    const pair = [call('a', text('a')), call('b', text('b'))];
    const { cwd, to, bodies } = await against([call('c', text('c')), pair, [call('d', text('d'))]], answers);
    expect(await verify(cwd, ...to, '--allow-effects')).toMatchObject({
      code: 0,
      err: expect.stringContaining('5 exchanges: 5 match'),
    });
    const calls = bodies
      .map((body) => JSON.parse(body) as unknown)
      .map((body) => (Array.isArray(body) ? body.length : 0));
    expect(calls).toEqual([0, 0, 2, 1]);
  });

  it('says that the server may speak another era when it refuses to begin', async () => {
    const error = { code: -32601, message: 'Method not found' };
    const { cwd, to } = await against([], { initialize: () => ({ error }) });
    const refused = await verify(cwd, ...to);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('the server refuses initialize');
    expect(refused.err).toContain('shadowcat reverse');
  });

  it('does not call what may have effects, and says that the result is incomplete', async () => {
    const answers = { ...tools({ name: 'write' }), 'tools/call:write': () => text('written') };
    const { cwd, to } = await against([call('write', text('written'))], answers);
    const guarded = await verify(cwd, ...to);
    expect(guarded.code).toBe(4);
    expect(guarded.err).toContain('not called without --allow-effects: write');
    expect((await verify(cwd, ...to, '--allow-effects')).code).toBe(0);
  });

  it('writes no secret into the tape', async () => {
    const secret = 'planted-7f31c9';
    const answers = { ...tools(readOnly('whoami')), 'tools/call:whoami': () => text(`you are ${secret}`) };
    const { cwd, to, tape } = await against([call('whoami', text('you are nobody'))], answers);
    const flags = [...to, '--update', '--header', `x-api-key: ${secret}`];
    expect((await verify(cwd, ...flags)).code).toBe(0);
    const after = readFileSync(tape, 'utf8');
    expect(after).toMatch(/you are ~redacted\.[0-9a-f]{16}~/);
    expect(after).not.toContain(secret);
  });

  it('hides no secret with another key than that of the tape', async () => {
    const secret = 'planted-7f31c9';
    const { url } = await liveServer({ 'tools/call:whoami': () => text(`you are ${secret}`) });
    const cwd = emptyDirectory();
    const head = { redaction: { policy: 'default', key: 'of-elsewhere' } };
    const tape = await madeTape(cwd, 't.tape.jsonl', [call('whoami', text('you are nobody'))], head);
    const before = readFileSync(tape, 'utf8');
    const flags = ['--update', '--allow-effects', '--header', `x-api-key: ${secret}`, '--upstream', url];
    const keyless = await verify(cwd, ...flags);
    expect(keyless).toMatchObject({ code: 2, err: expect.stringContaining('SHADOWCAT_TAPE_KEY') });
    expect(keyless.err).not.toContain(secret);
    expect(readFileSync(tape, 'utf8')).toBe(before);
  });

  it('leaves an overlay that is there alone, and says how it would be used', async () => {
    let count = 0;
    const now = (): { readonly result: object } => {
      count += 1;
      return text(`{"at":"2026-01-01T00:00:0${count % 10}Z"}`);
    };
    const answers = { ...tools(readOnly('now')), 'tools/call:now': now };
    const { cwd, to } = await against([call('now', text('{"at":"2025-01-01T00:00:00Z"}'))], answers);
    const overlay = join(cwd, 't.overlay.yaml');
    writeFileSync(overlay, 'seed: 7\n');
    const learned = await verify(cwd, ...to, '--learn', '2');
    expect(learned.out).toContain('target: "now"');
    expect(readFileSync(overlay, 'utf8')).toBe('seed: 7\n');
    const plain = await verify(cwd, ...to);
    expect(plain).toMatchObject({ code: 1, err: expect.stringContaining('only used with --overlay t.overlay.yaml') });
  });
});
