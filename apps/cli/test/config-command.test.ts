import { chmodSync, lstatSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

describe('config check', () => {
  it('says that a file is in order', async () => {
    const cwd = emptyDirectory({ 'shadowcat.yaml': 'listen: :1\nmax-children: 3\n' });
    expect(await shadowcat(['config', 'check'], { cwd })).toEqual({
      code: 0,
      out: '',
      err: 'shadowcat.yaml: in order, 2 keys\n',
      started: [],
    });
  });

  it.each([
    ['a key', 'lisen: :1\n', 'shadowcat: f.yaml:1:1: unknown key "lisen" (did you mean listen?)\n'],
    [
      'what does not fit together',
      'listen: 0.0.0.0:1\n',
      'shadowcat: f.yaml:1:9: 0.0.0.0 can be reached from other machines: ',
    ],
    ['a file with the wrong ending', 'record: a.jsonl\n', 'shadowcat: f.yaml:1:9: the name of a tape ends in'],
  ])('names the place of %s', async (_what, text, err) => {
    const cwd = emptyDirectory({ 'f.yaml': text });
    for (const argv of [
      ['config', 'check', 'f.yaml'],
      ['config', 'check', '--config', 'f.yaml'],
    ]) {
      const outcome = await shadowcat(argv, { cwd });
      expect(outcome.code).toBe(2);
      expect(outcome.err).toMatch(new RegExp(`^${err.replaceAll(/[.*+?()[\]]/g, '\\$&')}`));
    }
  });

  it('says when there is nothing to check', async () => {
    expect(await shadowcat(['config', 'check'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('config init'),
    });
    expect(await shadowcat(['config', 'check', 'a.yaml'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('there is no file a.yaml'),
    });
  });

  it.each(['reverse', 'record', 'replay', 'doctor'])('happens at the start of %s, too', async (command) => {
    const cwd = emptyDirectory({ 'shadowcat.yaml': 'listen: 127.0.0.1:1\nlisten: [\n' });
    const { code, err } = await shadowcat([command], { cwd });
    expect(code).toBe(2);
    expect(err).toMatch(/^shadowcat: shadowcat\.yaml:2:1: listen: .*\n$/);
  });
});

describe('config show', () => {
  const cwd = (): string =>
    emptyDirectory({ 'shadowcat.yaml': 'session-idle: 1h\ntoken: hunter2\nheader: {x-key: hunter2}\n' });

  it('is a table of values and where they come from', async () => {
    const { out } = await shadowcat(['config', 'show', '--listen', '9000', '--', 'node', 's.js'], {
      cwd: cwd(),
      env: { SHADOWCAT_PATH: '/x' },
    });
    const lines = out.split('\n');
    expect(lines[0]).toMatch(/^OPTION +VALUE +FROM$/);
    const row = (name: string): string | undefined =>
      lines.find((line) => line.startsWith(`${name} `))?.replaceAll(/ {2,}/g, ' | ');
    expect(row('listen')).toBe('listen | 127.0.0.1:9000 | flag --listen');
    expect(row('path')).toBe('path | /x | environment SHADOWCAT_PATH');
    expect(row('session-idle')).toBe('session-idle | 1h | file shadowcat.yaml:1:15');
    expect(row('max-children')).toBe('max-children | 64 | default');
    expect(row('command')).toBe('command | node s.js | flag a command after --');
    expect(row('upstream')).toBe('upstream | - | default');
  });

  it.each(['table', 'json', 'yaml'])('masks secrets as %s', async (format) => {
    const argv = [
      'config',
      'show',
      '--format',
      format,
      '--env',
      'KEY=hunter2',
      '--upstream',
      'http://a/mcp?key=hunter2',
    ];
    const { out } = await shadowcat(argv, { cwd: cwd() });
    expect(out).not.toContain('hunter2');
    expect(out).toContain('x-key=***');
    expect(out).toContain('KEY=***');
  });

  it('as yaml is a file that gives the same again', async () => {
    const before = await shadowcat([
      'config',
      'show',
      '--format',
      'yaml',
      '--max-body',
      '5MiB',
      '--upstream',
      'http://a/mcp',
    ]);
    const after = await shadowcat(['config', 'show', '--format', 'yaml'], {
      cwd: emptyDirectory({ 'shadowcat.yaml': before.out }),
    });
    expect(after.err).toBe('');
    expect(after.out).toBe(before.out);
  });
});

describe('config init', () => {
  it('writes a file that is in order and refers to the schema', async () => {
    const directory = emptyDirectory();
    expect(await shadowcat(['config', 'init'], { cwd: directory })).toMatchObject({ code: 0, out: '' });
    const text = readFileSync(join(directory, 'shadowcat.yaml'), 'utf8');
    expect(text).toMatch(/^# yaml-language-server: \$schema=(file:|\.\/).*shadowcat\.schema\.json\n/);
    expect(await shadowcat(['config', 'check'], { cwd: directory })).toMatchObject({
      code: 0,
      err: 'shadowcat.yaml: in order, 0 keys\n',
    });
  });

  it('writes over nothing unless it is told to', async () => {
    const directory = emptyDirectory({ 'shadowcat.yaml': 'path: /mine\n' });
    expect(await shadowcat(['config', 'init'], { cwd: directory })).toMatchObject({
      code: 2,
      err: 'shadowcat: shadowcat.yaml is there already: --force replaces it\n',
    });
    expect(readFileSync(join(directory, 'shadowcat.yaml'), 'utf8')).toBe('path: /mine\n');
    expect(await shadowcat(['config', 'init', '--force'], { cwd: directory })).toMatchObject({ code: 0 });
    expect(readFileSync(join(directory, 'shadowcat.yaml'), 'utf8')).not.toContain('/mine');
  });

  it('makes the folder that is named, and says plainly when it cannot write there', async () => {
    const directory = emptyDirectory({ file: '' });
    expect(await shadowcat(['config', 'init', 'deploy/here/a.yaml'], { cwd: directory })).toMatchObject({ code: 0 });
    expect(readFileSync(join(directory, 'deploy/here/a.yaml'), 'utf8')).toContain('# listen: 127.0.0.1:8787\n');
    for (const [name, why] of [
      ['deploy', 'EISDIR'],
      ['file/a.yaml', 'EEXIST|ENOTDIR'],
      // There, `mkdir` with `recursive` tries again for ever.
      ...(process.platform === 'linux' ? ([['/proc/no/a.yaml', 'ENOENT']] as const) : []),
    ] as const) {
      const { code, err } = await shadowcat(['config', 'init', name, '--force'], { cwd: directory });
      expect(code).toBe(2);
      expect(err).toMatch(new RegExp(`^shadowcat: ${name} cannot be written \\((${why})\\): name another file\\n$`));
    }
  });

  it('writes to stdout when the file is -', async () => {
    expect((await shadowcat(['config', 'init', '-'])).out).toContain('# listen: 127.0.0.1:8787\n');
  });
});

describe('config migrate', () => {
  const OLD = '# ours\nsessionIdle: 1h   # long\n"max_children": 3\nredact-key: [a]\nmirror: {to: http://a/mcp}\n';

  it('writes keys as this version has them, and leaves everything else as it was', async () => {
    const cwd = emptyDirectory({ 'shadowcat.yaml': OLD });
    expect(await shadowcat(['config', 'migrate'], { cwd })).toEqual({
      code: 0,
      out: '',
      err: 'shadowcat.yaml:2:1: sessionIdle is session-idle\nshadowcat.yaml:3:1: max_children is max-children\nshadowcat.yaml: in order, 2 keys changed\n',
      started: [],
    });
    const text = '# ours\nsession-idle: 1h   # long\n"max-children": 3\nredact-key: [a]\nmirror: {to: http://a/mcp}\n';
    expect(readFileSync(join(cwd, 'shadowcat.yaml'), 'utf8')).toBe(text);
    expect(await shadowcat(['config', 'check'], { cwd })).toMatchObject({ code: 0 });
  });

  it.each([
    ['quotes', '{"sessionIdle":"5m",\'log_level\':"debug"}', '{"session-idle":"5m",\'log-level\':"debug"}'],
    ['anchors, tags and line ends', '\uFEFF&a sessionIdle: 5m\r\n!!str log_level: debug\r\n', undefined],
    ['a key over several lines', '? |\n  sessionIdle\n: 5m\n', '? |\n  sessionIdle\n: 5m\n'],
  ])('keeps %s', async (_what, text, migrated = text.replace('sessionIdle', 'session-idle').replace('_', '-')) => {
    const cwd = emptyDirectory({ 'f.yaml': text });
    await shadowcat(['config', 'migrate', 'f.yaml'], { cwd });
    expect(readFileSync(join(cwd, 'f.yaml'), 'utf8')).toBe(migrated);
  });

  it('does not touch a file whose bytes are no UTF-8', async () => {
    const cwd = emptyDirectory({ 'f.yaml': '' });
    const bytes = Buffer.from('# caf\xe9\nsessionIdle: 5m\n', 'latin1');
    writeFileSync(join(cwd, 'f.yaml'), bytes);
    expect(await shadowcat(['config', 'migrate', 'f.yaml'], { cwd })).toMatchObject({
      code: 2,
      err: 'shadowcat: f.yaml: not UTF-8 throughout: save it as UTF-8 first, nothing was changed\n',
    });
    expect(readFileSync(join(cwd, 'f.yaml'))).toEqual(bytes);
  });

  it('keeps the file where it cannot be written to its end, its mode, and the link to it', async () => {
    const cwd = emptyDirectory({ 'f.yaml': OLD });
    chmodSync(join(cwd, 'f.yaml'), 0o640);
    symlinkSync('f.yaml', join(cwd, 'link.yaml'));
    const before = statSync(join(cwd, 'f.yaml')).ino;
    expect(await shadowcat(['config', 'migrate', 'link.yaml'], { cwd })).toMatchObject({ code: 0 });
    expect(lstatSync(join(cwd, 'link.yaml')).isSymbolicLink()).toBe(true);
    // Another file that took its name when it was whole.
    const after = statSync(join(cwd, 'f.yaml'));
    expect({ mode: after.mode & 0o777, replaced: after.ino !== before }).toEqual({ mode: 0o640, replaced: true });
  });

  it('does nothing to a file that is in order', async () => {
    const cwd = emptyDirectory({ 'f.yaml': 'listen: :1\n' });
    const err = 'f.yaml: in order, nothing to migrate\n';
    expect(await shadowcat(['config', 'migrate', 'f.yaml'], { cwd })).toMatchObject({ code: 0, out: '', err });
    expect(await shadowcat(['config', 'migrate', '--config', 'f.yaml'], { cwd })).toMatchObject({ code: 0, err });
    expect(await shadowcat(['config', 'migrate'], { cwd, env: { SHADOWCAT_CONFIG: 'f.yaml' } })).toMatchObject({ err });
    expect(readFileSync(join(cwd, 'f.yaml'), 'utf8')).toBe('listen: :1\n');
  });

  it.each([
    [
      'a key that nothing is called like',
      'a: 1\nsessionIdle: 1h\n',
      'a: 1\nsession-idle: 1h\n',
      'f.yaml:1:1: unknown key "a"',
    ],
    ['a value', 'sessionIdle: 1\n', 'session-idle: 1\n', 'f.yaml:1:15: session-idle: "1" is not a duration'],
    [
      'a key in two spellings',
      'sessionIdle: 1h\nsession-idle: 2h\n',
      undefined,
      'f.yaml:1:1: unknown key "sessionIdle" (did you mean session-idle?)',
    ],
    ['what is no YAML', 'listen: [\n', undefined, 'f.yaml:1:1: listen: not valid YAML'],
    ['what is no mapping', '- a\n', undefined, 'f.yaml:1:1: the file must hold'],
  ])('says where %s is still wrong', async (_what, text, migrated, err) => {
    const cwd = emptyDirectory({ 'f.yaml': text });
    const outcome = await shadowcat(['config', 'migrate', 'f.yaml'], { cwd });
    expect(outcome).toMatchObject({ code: 2, out: '' });
    expect(outcome.err).toMatch(new RegExp(`^shadowcat: ${err.replaceAll(/[.*+?()[\]]/g, '\\$&')}`, 'm'));
    expect(readFileSync(join(cwd, 'f.yaml'), 'utf8')).toBe(migrated ?? text);
  });

  it('says when there is no file', async () => {
    const none = await shadowcat(['config', 'migrate']);
    expect(none).toMatchObject({ code: 2, err: expect.stringContaining('there is no shadowcat.yaml here') });
    const named = await shadowcat(['config', 'migrate', 'a.yaml']);
    expect(named).toMatchObject({ code: 2, err: expect.stringContaining('there is no file a.yaml') });
  });
});

describe('config schema', () => {
  it('prints the schema', async () => {
    const { code, out } = await shadowcat(['config', 'schema']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      additionalProperties: false,
      properties: { listen: { default: '127.0.0.1:8787' } },
    });
  });
});
