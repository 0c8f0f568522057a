import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '@shadowcat/kernel';
import { openTapeFile } from '@shadowcat/tape-file';
import { processMark } from '@shadowcat/transport-stdio';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../src/stack/system.js';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const HEAD = '{"k":"head","v":1,"form":"capture","requires":[],"scope":"all"}';
const PLANTED = 'pl4nted-S3cret-9';
const said = (text: string): string => `{"k":"err","t":1,"s":"-","text":${JSON.stringify(text)}}`;

async function directoryWith(tapes: Readonly<Record<string, readonly string[]>>, files = {}): Promise<string> {
  const directory = emptyDirectory(files);
  for (const [name, texts] of Object.entries(tapes)) {
    const path = join(directory, name);
    const writer = openTapeFile(path, { head: HEAD }, { clock: systemClock, log: silentLog });
    for (const text of texts) writer.append(said(text));
    await writer.finish();
  }
  return directory;
}

describe('tape scan', () => {
  it('says where secrets are and of what kind, never which, and exits with 6', async () => {
    const cwd = await directoryWith({ 'a.tape.jsonl': ['fine', `token=${PLANTED}`], 'b.tape.jsonl': ['fine'] });
    const { code, out, err } = await shadowcat(['tape', 'scan', 'a.tape.jsonl', 'b.tape.jsonl'], { cwd });
    expect({ code, out }).toEqual({ code: 6, out: 'a.tape.jsonl:3: /text: assignment token\n' });
    expect(err).toBe('2 tapes: 1 secret\nhide them with: shadowcat tape redact <tape>\n');
    const { out: data } = await shadowcat(['tape', 'scan', '.', '--format', 'json'], { cwd });
    expect(JSON.parse(data)).toEqual([
      { file: 'a.tape.jsonl', line: 3, kind: 'assignment', name: 'token', pointer: '/text' },
    ]);
    expect(out + err + data).not.toContain(PLANTED);
  });

  it('exits with 0 when there is none, with 3 when a file is no tape, after all of them', async () => {
    const cwd = await directoryWith(
      { 'a.tape.jsonl': ['fine'], 'z.tape.jsonl': ['TOKEN=x'] },
      { 'no.tape.jsonl': 'x\n' },
    );
    expect(await shadowcat(['tape', 'scan', 'a.tape.jsonl'], { cwd })).toMatchObject({ code: 0, out: '' });
    const broken = await shadowcat(['tape', 'scan', 'no.tape.jsonl', 'a.tape.jsonl'], { cwd });
    expect(broken.code).toBe(3);
    expect(broken.err).toContain('no.tape.jsonl:1');
    expect((await shadowcat(['tape', 'scan', '.'], { cwd })).code).toBe(6);
    expect((await shadowcat(['tape', 'scan', 'none.tape.jsonl'], { cwd })).code).toBe(2);
  });

  it('looks at what a running recording has written so far, which is no tape that was cut off', async () => {
    const begun = (mark: string): string =>
      `${HEAD.replace(/}$/, `,"process":"${mark}"}`)}\n${said('fine')}\n{"k":"err","t":1`;
    const cwd = emptyDirectory({ 'a.tape.jsonl.part': begun(processMark()) });
    expect(await shadowcat(['tape', 'scan', '.'], { cwd })).toMatchObject({
      code: 0,
      err: `a.tape.jsonl.part is being recorded by process ${process.pid}: only what it holds by now was looked at\n1 tapes: 0 secrets\n`,
    });
    const left = emptyDirectory({ 'a.tape.jsonl.part': begun('1-00000000') });
    expect(await shadowcat(['tape', 'scan', '.'], { cwd: left })).toMatchObject({ code: 3 });
  });

  it('goes by the rules of the flags, the environment and the configuration file', async () => {
    const texts = { 'a.tape.jsonl': ['badge EMP-1234', 'token=x', 'employee-number=7'] };
    const cwd = await directoryWith(texts, {
      'shadowcat.yaml': "redact-pattern: 'EMP-\\d{4}'\nredact-allow: [token]\n",
    });
    const { out } = await shadowcat(['tape', 'scan', '.'], { cwd, env: { SHADOWCAT_REDACT_KEY: 'employee number' } });
    expect(out).toBe('a.tape.jsonl:2: /text: pattern EMP-\\d{4}\na.tape.jsonl:4: /text: assignment employee-number\n');
    const flags = ['--redact-allow', '/EMP-1.*/', '--redact-allow', 'token'];
    expect(await shadowcat(['tape', 'scan', '.', ...flags], { cwd })).toMatchObject({ code: 0, out: '' });
  });

  it('refuses expressions that are none, or match nothing at all', async () => {
    const cwd = await directoryWith({ 'a.tape.jsonl': [] });
    for (const [flag, value] of [
      ['--redact-pattern', '('],
      ['--redact-pattern', 'x*'],
      ['--redact-allow', '/(/'],
      ['--redact-key', '--'],
    ] as const) {
      const { code, err } = await shadowcat(['tape', 'scan', '.', `${flag}=${value}`], { cwd });
      expect(code).toBe(2);
      expect(err).toContain(flag);
    }
  });
});

describe('recording and replaying', () => {
  it('go by the same rules', async () => {
    const cwd = await directoryWith(
      { 'a.tape.jsonl': [] },
      { 'shadowcat.yaml': 'redact-key: [badge]\nno-redact: true\n' },
    );
    const record = ['record', '--out', 'b.tape.jsonl', '--upstream', 'http://localhost:1/mcp'];
    const redaction = { keys: ['badge'], patterns: ['x\\d'], allow: [], off: false };
    const flags = ['--redact-pattern', 'x\\d', '--redact'];
    const [recording] = (await shadowcat([...record, ...flags], { cwd })).started;
    expect(recording?.config).toMatchObject({ recording: { redaction } });
    const [replay] = (await shadowcat(['replay', 'a.tape.jsonl', ...flags], { cwd })).started;
    expect(replay?.config).toMatchObject({ redaction });
  });
});

describe('tape redact', () => {
  it('hides what scan finds, says of which kinds it was, and does it once', async () => {
    const cwd = await directoryWith({
      'a.tape.jsonl': [`token=${PLANTED}`, `token=${PLANTED}`, `https://u:${PLANTED}@h/`],
    });
    const first = await shadowcat(['tape', 'redact', 'a.tape.jsonl'], { cwd });
    expect(first).toMatchObject({
      code: 0,
      out: 'a.tape.jsonl\n',
      err: 'hid 3 secrets (2 × assignment token, url-password)\n',
    });
    const text = readFileSync(join(cwd, 'a.tape.jsonl'), 'utf8');
    expect(text).not.toContain(PLANTED);
    expect((await shadowcat(['tape', 'scan', '.'], { cwd })).code).toBe(0);
    expect((await shadowcat(['tape', 'show', 'a.tape.jsonl'], { cwd })).code).toBe(0);
    expect((await shadowcat(['tape', 'redact', 'a.tape.jsonl'], { cwd })).err).toBe('hid 0 secrets\n');
    expect(readFileSync(join(cwd, 'a.tape.jsonl'), 'utf8')).toBe(text);
  });

  it('uses the given key, and says which one is missing', async () => {
    const cwd = await directoryWith({ 'a.tape.jsonl': ['token=x'], 'b.tape.jsonl': ['token=x', 'password=y'] });
    const key = 'ab'.repeat(32);
    const env = { SHADOWCAT_TAPE_KEY: key };
    await shadowcat(['tape', 'redact', 'b.tape.jsonl', '--redact-allow', 'password', '-o', 'c.tape.jsonl'], {
      cwd,
      env,
    });
    const { code, err } = await shadowcat(['tape', 'redact', 'c.tape.jsonl'], { cwd });
    expect(code).toBe(3);
    expect(err).toContain('another key');
    expect((await shadowcat(['tape', 'redact', 'c.tape.jsonl'], { cwd, env })).err).toBe(
      'hid 1 secret (assignment password)\n',
    );
  });
});
