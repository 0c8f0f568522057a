import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const targetsOf = (config: object | undefined): unknown =>
  config !== undefined && 'targets' in config ? config.targets : undefined;
const UP = ['--upstream', 'http://a.example/mcp'];

describe('what does not fit together', () => {
  it.each<[what: string, argv: string[], message: RegExp]>([
    [
      'no server at all',
      ['reverse'],
      /^shadowcat: no server to talk to: give --upstream <url>, or a command after --\nfor example: shadowcat reverse --upstream http:\/\/localhost:3000\/mcp\n$/,
    ],
    [
      'an upstream and a command',
      ['reverse', ...UP, '--', 'node'],
      /^shadowcat: a command after -- and --upstream exclude each other: give one of them\n$/,
    ],
    [
      'a command that is not there',
      ['reverse', '--', 'no-such-command-here'],
      /^shadowcat: there is no command "no-such-command-here" on PATH: check its spelling, or give its path\n$/,
    ],
    ['a path that is no command', ['reverse', '--', './server.js'], /^shadowcat: there is no command .\/server.js\n$/],
    [
      'a command before the dashes',
      ['reverse', 'node', 'a.js'],
      /^shadowcat: unexpected "node": a command goes after --, as in\n {2}shadowcat reverse -- node a.js\n$/,
    ],
    ['an upstream twice', ['reverse', ...UP, ...UP], /^shadowcat: --upstream: http:\/\/a.example\/mcp is there twice/],
    [
      'Authorization to forward and a token of the proxy',
      ['reverse', ...UP, '--token', 'a-long-random-word', '--forward-authorization'],
      /^shadowcat: --forward-authorization: with a token of the proxy's own \(--token\) .* drop one, or give the upstream its token with --header\n$/,
    ],
    [
      'Authorization to forward and one of its own',
      ['reverse', ...UP, '--header', 'Authorization: Bearer x', '--forward-authorization'],
      /^shadowcat: --forward-authorization: the upstream gets the Authorization of --header instead of the client's: drop one\n$/,
    ],
    [
      'a public address without a token',
      ['reverse', ...UP, '--listen', '0.0.0.0:1'],
      /^shadowcat: --listen: 0.0.0.0 can be reached from other machines: set a token \(SHADOWCAT_TOKEN or --token-file\), or say --no-auth to let everybody in\n$/,
    ],
    [
      'stdin and an address',
      ['record', '--stdio', '--listen', '127.0.0.1:0', '--out', 'a.tape.jsonl', ...UP],
      /--listen and --stdio exclude each other/,
    ],
    ['a token and none', ['reverse', ...UP, '--token', 'abc', '--no-auth'], /--no-auth and --token exclude each other/],
    [
      'a token file that is not there',
      ['reverse', ...UP, '--token-file', 'nope'],
      /^shadowcat: --token-file: cannot read nope \(ENOENT\)\n$/,
    ],
    [
      'record without --out',
      ['record', ...UP],
      /^shadowcat: record needs --out: a file ending in .tape.jsonl, or a directory\n$/,
    ],
    [
      'a tape with another ending',
      ['record', ...UP, '--out', 'a.jsonl'],
      /^shadowcat: --out: the name of a tape ends in .tape.jsonl; for a tape per session name a directory\n$/,
    ],
    [
      'a path of the admin routes',
      ['reverse', ...UP, '--path', '/health'],
      /^shadowcat: --path: \/health is where health and metrics are/,
    ],
    [
      'an interceptor that is not there',
      ['reverse', ...UP, '--interceptor', './a.js'],
      /^shadowcat: --interceptor: there is no file .\/a.js\n$/,
    ],
    [
      'a directory that is not there',
      ['reverse', '--cwd', 'nope', '--', 'node'],
      /^shadowcat: --cwd: there is no directory nope\n$/,
    ],
    [
      'a variable that is not set',
      ['reverse', '--env', 'NOT_SET_HERE', '--', 'node'],
      /^shadowcat: --env: NOT_SET_HERE is not set here, so it cannot be passed on/,
    ],
    [
      'a file of variables that is not there',
      ['reverse', '--env-file', 'no.env', '--', 'node'],
      /^shadowcat: --env-file: cannot read no.env \(ENOENT\)/,
    ],
    [
      'more warm children than there may be',
      ['reverse', '--warm', '5', '--max-children', '4', '--', 'node'],
      /^shadowcat: --warm: 5 are more children than --max-children allows \(4\): raise it/,
    ],
    [
      'a path that is taken',
      ['reverse', ...UP, '--path', '/sse'],
      /^shadowcat: --path: \/sse is where the legacy HTTP\+SSE pair is: choose another path, such as \/mcp\n$/,
    ],
    ['replay without a tape', ['replay'], /^shadowcat: replay needs a tape: shadowcat replay session.tape.jsonl\n$/],
    ['a tape that is not there', ['replay', 'a.tape.jsonl'], /^shadowcat: there is no tape a.tape.jsonl\n$/],
    [
      'a directory instead of tapes',
      ['replay', '.'],
      /^shadowcat: . is a directory: name the tapes in it, as \*.tape.jsonl\n$/,
    ],
    [
      'a configuration that is not there',
      ['reverse', ...UP, '--config', 'x.yaml'],
      /^shadowcat: --config: there is no file x.yaml/,
    ],
    [
      'a value that cannot be read',
      ['reverse', ...UP, '--max-body', 'lots'],
      /^shadowcat: --max-body: "lots" is not a size: write bytes or a unit, as 65536, 64k or 4MiB\n$/,
    ],
  ])('%s is one clear message and exit code 2', async (_what, argv, message) => {
    const { code, err, out, started } = await shadowcat(argv);
    expect(err).toMatch(message);
    expect({ code, out, started }).toEqual({ code: 2, out: '', started: [] });
  });

  it('is told all at once', async () => {
    const { err } = await shadowcat([
      'reverse',
      ...UP,
      '--listen',
      '0.0.0.0:1',
      '--path',
      '/metrics',
      '--record',
      'a.json',
    ]);
    expect(err.trimEnd().split('\n')).toHaveLength(3);
  });
});

describe('a server given in two places', () => {
  const file = { 'shadowcat.yaml': 'command: [node, from-file.js]\n' };

  it('is that of the higher source', async () => {
    const { started } = await shadowcat(['reverse', ...UP], { cwd: emptyDirectory(file) });
    expect(started[0]?.config).toMatchObject({ targets: [{ kind: 'url', url: 'http://a.example/mcp' }] });
    const fromEnv = await shadowcat(['reverse'], {
      cwd: emptyDirectory(file),
      env: { SHADOWCAT_UPSTREAM: 'ws://b/mcp' },
    });
    expect(fromEnv.started[0]?.config).toMatchObject({ targets: [{ kind: 'url', transport: 'ws' }] });
  });

  it('is an error within one source', async () => {
    const both = { 'shadowcat.yaml': 'command: [node]\nupstream: http://a/mcp\n' };
    const { err } = await shadowcat(['reverse'], { cwd: emptyDirectory(both) });
    expect(err).toBe(
      'shadowcat: shadowcat.yaml:1:10: command and shadowcat.yaml:2:11: upstream exclude each other: give one of them\n',
    );
  });
});

describe('what the stack gets', () => {
  it('is a reverse proxy with the defaults of the documentation', async () => {
    const cwd = emptyDirectory();
    const { started, code } = await shadowcat(['reverse', ...UP], { cwd });
    expect(code).toBe(0);
    expect(started[0]?.what).toBe('reverse');
    expect(started[0]?.config).toEqual({
      targets: [{ kind: 'url', transport: 'http', name: 'http://a.example/mcp', url: 'http://a.example/mcp' }],
      groups: [
        {
          name: 'default',
          members: ['http://a.example/mcp'],
          balance: 'round-robin',
          hashOn: 'credential',
          slowStartMs: 0,
        },
      ],
      routes: [],
      listen: { host: '127.0.0.1', port: 8787 },
      path: '/mcp',
      access: { token: undefined, allowHosts: [], allowOrigins: [], admin: 'loopback' },
      upstream: {
        headers: {},
        forwardAuthorization: false,
        connectTimeoutMs: 5000,
        firstByteTimeoutMs: 60_000,
        onLoss: 'recover',
        listTimeoutMs: 3_000,
        bridge: 'auto',
        bridgeHoldMs: 300_000,
        maxBridgeQuestions: 1000,
        maxBridgeSessions: 10_000,
      },
      children: {
        isolation: 'session',
        max: 64,
        maxPerCredential: 64,
        maxAgeMs: Number.POSITIVE_INFINITY,
        warm: 0,
        maxQueue: 256,
        queueTimeoutMs: 30_000,
        maxLine: 10_485_760,
      },
      sessions: {
        store: `sqlite:${join(cwd, '.shadowcat/state.db')}`,
        idleMs: 1_800_000,
        max: 10_000,
        maxPerCredential: 100,
        resume: { events: 1000, bytes: 8 * 1024 * 1024, totalBytes: 256 * 1024 * 1024 },
      },
      recording: undefined,
      protection: {
        totalMs: 3_600_000,
        idleMs: 0,
        maxInFlight: 10_000,
        breaker: { failures: 5, ratio: 0.5, minimum: 20, windowMs: 10_000, openMs: 30_000, maxEjection: 1 },
        health: { check: 'suspect', intervalMs: 5000, jitter: 0.2, timeoutMs: 5000, rise: 1, fall: 3 },
        retry: { attempts: 3, budget: 0.2, minimum: 3, tools: [], hints: true },
        hedgeAfterMs: 0,
      },
      limits: {
        maxBody: 4_194_304,
        maxBatch: 100,
        maxJsonDepth: 64,
        maxJsonNodes: 100_000,
        maxHeaderSize: 16_384,
        maxHeaders: 100,
        maxConnections: 10_000,
        headersTimeoutMs: 10_000,
        requestTimeoutMs: 60_000,
        maxStreamQueue: 1_048_576,
      },
      interceptors: [],
      keepAliveMs: 15_000,
      drainMs: 10_000,
    });
  });

  it('is a command as a vector, with its directory and variables', async () => {
    const cwd = emptyDirectory({ 'vars.env': 'A=overridden\nC=three\n' });
    mkdirSync(join(cwd, 'server'));
    const argv = [
      'reverse',
      '--cwd',
      'server',
      '--env',
      'A=1',
      '--env-file',
      'vars.env',
      '--env',
      'B',
      '--',
      'node',
      '-e',
      '--upstream',
      '--',
      'x y',
    ];
    const { started } = await shadowcat(argv, { cwd, env: { B: 'two' } });
    expect(targetsOf(started[0]?.config)).toEqual([
      {
        kind: 'command',
        name: 'node',
        command: 'node',
        args: ['-e', '--upstream', '--', 'x y'],
        cwd: join(cwd, 'server'),
        env: { A: '1', B: 'two', C: 'three' },
      },
    ]);
  });

  it('finds a command on the PATH that the command will have', async () => {
    const argv = ['reverse', '--env', 'PATH=', '--', 'node'];
    expect((await shadowcat(argv)).err).toContain('there is no command "node" on PATH');
  });

  it('tells a tape from a directory of tapes', async () => {
    const cwd = emptyDirectory({ 'a-file': '' });
    const recording = async (path: string): Promise<unknown> =>
      (await shadowcat(['reverse', ...UP, '--record', path], { cwd })).started[0]?.config;
    expect(await recording('a.tape.jsonl')).toMatchObject({
      recording: { kind: 'file', path: join(cwd, 'a.tape.jsonl'), required: false, durable: false },
    });
    expect(await recording('tapes/')).toMatchObject({ recording: { kind: 'directory', path: join(cwd, 'tapes') } });
    expect((await shadowcat(['reverse', ...UP, '--record', 'a-file'], { cwd })).err).toContain(
      'a-file is a file that is no tape',
    );
    // What cannot be looked at is told by whoever is to write there.
    for (const name of ['x'.repeat(300), 'a\0b'])
      expect(await recording(name)).toMatchObject({ recording: { kind: 'directory', path: join(cwd, name) } });
  });

  it('has the token from wherever it is', async () => {
    const cwd = emptyDirectory({ token: '  secret-1\n' });
    const tokenOf = async (argv: string[], env: Record<string, string>): Promise<unknown> =>
      (await shadowcat(['reverse', ...UP, '--listen', '0.0.0.0:0', ...argv], { cwd, env })).started[0]?.config;
    expect(await tokenOf(['--token-file', 'token'], {})).toMatchObject({ access: { token: 'secret-1' } });
    expect(await tokenOf([], { SHADOWCAT_TOKEN: 'secret-2' })).toMatchObject({ access: { token: 'secret-2' } });
    expect(await tokenOf(['--no-auth'], { SHADOWCAT_TOKEN: 'secret-2' })).toMatchObject({
      access: { token: undefined },
    });
  });

  it('has interceptors as import() takes them', async () => {
    const cwd = emptyDirectory({ 'a.js': '' });
    const { started } = await shadowcat(['reverse', ...UP, '--interceptor', './a.js', '--interceptor', '@acme/rules'], {
      cwd,
    });
    expect(started[0]?.config).toMatchObject({ interceptors: [pathToFileURL(join(cwd, 'a.js')).href, '@acme/rules'] });
  });

  it('is a recording proxy on stdio, which needs no token', async () => {
    const argv = ['record', '--stdio', '--out', 'a.tape.jsonl', '--', 'node', 's.js'];
    const { started } = await shadowcat(argv, { env: { SHADOWCAT_LISTEN: '0.0.0.0:1' } });
    expect(started[0]?.what).toBe('record-stdio');
    expect(started[0]?.config).toMatchObject({ recording: { kind: 'file' }, targets: [{ args: ['s.js'] }] });
    expect(started[0]?.config).not.toHaveProperty('listen');
  });

  it('is a recording reverse proxy', async () => {
    const { started } = await shadowcat(['record', '--out', 'tapes', ...UP]);
    expect(started[0]).toMatchObject({ what: 'reverse', config: { recording: { kind: 'directory' }, path: '/mcp' } });
  });

  it('is a replay, over HTTP or on stdio', async () => {
    const cwd = emptyDirectory({ 'a.tape.jsonl': '', 'b.tape.jsonl': '' });
    const http = await shadowcat(['replay', 'a.tape.jsonl', '--all-used', 'b.tape.jsonl'], { cwd });
    expect(http.started[0]).toMatchObject({
      what: 'replay',
      config: {
        listen: { host: '127.0.0.1', port: 8787 },
        tapes: [join(cwd, 'a.tape.jsonl'), join(cwd, 'b.tape.jsonl')],
        allUsed: true,
      },
    });
    const stdio = await shadowcat(['replay', '--stdio', 'a.tape.jsonl'], { cwd });
    expect(stdio.started[0]?.config).toMatchObject({
      listen: undefined,
      allUsed: false,
      overlays: [],
      dryRun: false,
      time: 'instant',
      maxRung: 'rule',
      reports: [],
    });
  });

  it('is a replay with an overlay, a pace and reports', async () => {
    const cwd = emptyDirectory({ 'a.tape.jsonl': '', 'a.overlay.yaml': '', 'b.overlay.yaml': '' });
    const overlays = ['--overlay', 'a.overlay.yaml', '--overlay', 'b.overlay.yaml'];
    const rest = ['--time', 'x2.5', '--max-rung', 'bound', '--report', 'junit=out/r.xml', '--report', 'sarif=r.sarif'];
    const { started } = await shadowcat(['replay', 'a.tape.jsonl', ...overlays, ...rest], { cwd });
    expect(started[0]?.config).toMatchObject({
      overlays: [join(cwd, 'a.overlay.yaml'), join(cwd, 'b.overlay.yaml')],
      time: 2.5,
      maxRung: 'bound',
      reports: [
        { format: 'junit', path: join(cwd, 'out/r.xml') },
        { format: 'sarif', path: join(cwd, 'r.sarif') },
      ],
    });
  });

  it.each([
    [['--overlay', 'no.yaml'], /--overlay: there is no file no\.yaml/],
    [['--dry-run'], /--dry-run is about an overlay: give --overlay <file>/],
    [['--time', 'x0'], /--time: "x0" is not a way to keep time: write instant, recorded, or x2/],
    [['--max-rung', 'any'], /--max-rung: "any" is not one of the choices: write exact, bound, normalised, rule/],
    [['--report', 'xml=r'], /--report: "xml=r" is not a report: write junit=file/],
    [['--report', 'junit='], /--report: "junit=" is not a report/],
  ])('is no replay with %j', async (words, message) => {
    const cwd = emptyDirectory({ 'a.tape.jsonl': '' });
    const { code, err } = await shadowcat(['replay', 'a.tape.jsonl', ...words], { cwd });
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});
