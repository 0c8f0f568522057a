import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import process from 'node:process';
import { ProxyError, silentLog } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { type ChildComponents, type ChildConnection, type ChildOptions, openChild } from '../src/index.js';
import { allGone, Listener, processesNaming, realClock, scripts } from './support.js';

/** A grace that no machine is too busy for: what is expected comes within it. */
const AMPLE_MS = 60_000;

const ECHO = `process.stdin.on('data', (chunk) => process.stdout.write(chunk));`;

function open(
  script: string,
  more: Partial<ChildOptions> = {},
  components: Partial<ChildComponents> = {},
): Promise<ChildConnection> {
  return openChild(
    { command: process.execPath, args: [script], ...more },
    { clock: realClock, log: silentLog, ...components },
  );
}

describe('a child', () => {
  it('gets each message on a line of its own and its lines come back as messages', async () => {
    using dir = scripts();
    await using line = await open(dir.write('echo.mjs', ECHO));
    const heard = new Listener(line);
    await line.send('{"id":1}');
    await line.send('{\n  "id": 2\n}');
    expect(await heard.received(2)).toEqual(['{"id":1}', '{   "id": 2 }']);
    expect(line.name).toBe(`pid ${line.pid}`);
  });

  it('ends when its stdin ends, and the line says so without a reason', async () => {
    using dir = scripts();
    const script = dir.write('echo.mjs', ECHO);
    const line = await open(script, { grace: { stdinMs: AMPLE_MS } });
    const heard = new Listener(line);
    await line[Symbol.asyncDispose]();
    expect(await heard.closed()).toBeUndefined();
    expect(await line.exit).toEqual({ code: 0, signal: null });
    await expect(line.send('{}')).rejects.toMatchObject({ code: 'upstream_closed' });
    expect(await processesNaming(script)).toEqual([]);
  });

  it('gets SIGTERM when it ignores the end of stdin, and SIGKILL when it ignores that', async () => {
    using dir = scripts();
    const deaf = dir.write('deaf.mjs', `setInterval(() => {}, 1000); process.stdout.write('{"up":1}\\n');`);
    const stubborn = dir.write(
      'stubborn.mjs',
      `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); process.stdout.write('{"up":1}\\n');`,
    );
    for (const [script, signal, termMs] of [
      [deaf, 'SIGTERM', AMPLE_MS],
      [stubborn, 'SIGKILL', 50],
    ] as const) {
      const line = await open(script, { grace: { stdinMs: 50, termMs } });
      await new Listener(line).received(1);
      await line[Symbol.asyncDispose]();
      expect(await line.exit).toEqual({ code: null, signal });
    }
  });

  it('that dies says how, with its last words', async () => {
    using dir = scripts();
    const script = dir.write(
      'dies.mjs',
      `console.error('reading config'); console.error('boom: no config'); process.stdin.once('data', () => process.exit(3));`,
    );
    await using line = await open(script);
    const heard = new Listener(line);
    await line.send('{"id":1}');
    const reason = await heard.closed();
    expect(reason).toMatchObject({
      code: 'child_exited',
      message: 'the server command (node) exited with code 3; its last words: boom: no config',
      data: { exitCode: 3, stderr: ['reading config', 'boom: no config'] },
    });
    await expect(line.send('{}')).rejects.toBe(reason);
  });

  it('that is killed names the signal', async () => {
    using dir = scripts();
    await using line = await open(dir.write('echo.mjs', ECHO));
    const heard = new Listener(line);
    process.kill(line.pid, 'SIGKILL');
    expect(await heard.closed()).toMatchObject({
      code: 'child_exited',
      message: 'the server command (node) was ended by SIGKILL; it wrote nothing to stderr',
    });
  });

  it('delivers what it wrote before it died, then closes', async () => {
    using dir = scripts();
    const script = dir.write(
      'burst.mjs',
      `for (let i = 0; i < 1000; i += 1) process.stdout.write(JSON.stringify({ i, pad: 'x'.repeat(500) }) + '\\n');
       process.stdout.write('{"last":true}', () => process.exit(1));`,
    );
    await using line = await open(script);
    const heard = new Listener(line);
    await heard.closed();
    expect(heard.messages).toHaveLength(1001);
    expect(heard.messages.at(-1)).toBe('{"last":true}');
  });

  it('that ended before anybody listened has lost nothing', async () => {
    using dir = scripts();
    await using line = await open(
      dir.write('brief.mjs', `process.stdout.write('{"id":1}\\n{"id":2}'); process.exitCode = 4;`),
    );
    expect(await line.exit).toEqual({ code: 4, signal: null });
    await new Promise((resolve) => setImmediate(resolve));
    const heard = new Listener(line);
    expect(await heard.closed()).toMatchObject({ code: 'child_exited', data: { exitCode: 4 } });
    expect(heard.messages).toEqual(['{"id":1}', '{"id":2}']);
  });

  it('that closes its stdin and lives on is ended, and its writers are told', async () => {
    using dir = scripts();
    const script = dir.write(
      'shut.mjs',
      `import { closeSync } from 'node:fs'; closeSync(0); process.stdout.write('{"up":1}\\n'); setInterval(() => {}, 1000);`,
    );
    await using line = await open(script, { grace: { stdinMs: 10, termMs: 1000 } });
    const heard = new Listener(line);
    await heard.received(1);
    await line.send('{"id":1}').catch(() => {});
    expect(await heard.closed()).toMatchObject({ code: 'upstream_closed' });
    await expect(line.send('{"id":2}')).rejects.toMatchObject({ code: 'upstream_closed' });
    await line[Symbol.asyncDispose]();
    expect(await processesNaming(script)).toEqual([]);
  });

  it('may write other things than messages: they are reported and never fatal', async () => {
    using dir = scripts();
    const stray: string[] = [];
    const script = dir.write(
      'chatty.mjs',
      `console.log('listening on stdio'); console.log('  {"id":1} '); console.log('{');`,
    );
    await using line = await open(script, {}, { onGarbage: (text) => stray.push(text) });
    const heard = new Listener(line);
    await heard.closed();
    expect(heard.messages).toEqual(['{"id":1}']);
    expect(stray).toEqual(['listening on stdio', '{']);
  });

  it('that writes too long a message loses the line, too long a rubbish does not', async () => {
    using dir = scripts();
    const stray: string[] = [];
    const script = dir.write(
      'long.mjs',
      `console.log('x'.repeat(5000)); console.log('{"id":1}');
       process.stdin.once('data', () => console.log(JSON.stringify({ pad: 'x'.repeat(5000) }))); `,
    );
    await using line = await open(script, { maxLine: 1000 }, { onGarbage: (text) => stray.push(text) });
    const heard = new Listener(line);
    await heard.received(1);
    expect(stray).toHaveLength(1);
    await line.send('{"id":2}');
    expect(await heard.closed()).toMatchObject({ code: 'upstream_protocol' });
  });

  it('that does not read makes its writer wait, and the wait ends with the line', async () => {
    using dir = scripts();
    const script = dir.write('blind.mjs', `process.stdout.write('{"up":1}\\n'); setInterval(() => {}, 1000);`);
    await using line = await open(script);
    await new Listener(line).received(1);
    const text = JSON.stringify({ pad: 'x'.repeat(1024 * 1024) });
    const waiting = line.send(text);
    let waited = true;
    void waiting.then(
      () => {
        waited = false;
      },
      () => {},
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(waited).toBe(true);
    const gone = new ProxyError('draining', 'over');
    line.destroy(gone);
    await expect(waiting).rejects.toBe(gone);
  });

  it('that does not read is still ended gently, and so is the wait for it', async () => {
    using dir = scripts();
    const script = dir.write('blind.mjs', `process.stdout.write('{"up":1}\\n'); setInterval(() => {}, 1000);`);
    const line = await open(script, { grace: { stdinMs: 50, termMs: AMPLE_MS } });
    await new Listener(line).received(1);
    const waiting = expect(line.send('x'.repeat(1024 * 1024))).rejects.toMatchObject({ code: 'upstream_closed' });
    const ending = line[Symbol.asyncDispose]();
    await expect(line.send('{}')).rejects.toMatchObject({ code: 'upstream_closed' });
    await Promise.all([ending, waiting, line[Symbol.asyncDispose]()]);
    expect(await line.exit).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('may write messages up to 10 MiB, and loses the line beyond', async () => {
    using dir = scripts();
    const script = dir.write(
      'large.mjs',
      `const message = (size) => JSON.stringify({ pad: 'x'.repeat(size - 10) }) + '\\n';
       const limit = 10 * 1024 * 1024;
       process.stdout.write(message(limit), () => process.stdout.write(message(limit + 1)));
       process.stdin.resume();`,
    );
    await using line = await open(script);
    const heard = new Listener(line);
    expect(await heard.closed()).toMatchObject({
      code: 'upstream_protocol',
      message: 'the server command (node) wrote a message of more than 10485760 bytes, which is the limit',
    });
    expect(heard.messages.map(({ length }) => length)).toEqual([10 * 1024 * 1024]);
  });

  it('never blocks on stderr; its tail is kept and its lines are handed on', async () => {
    using dir = scripts();
    const lines: string[] = [];
    const script = dir.write(
      'noisy.mjs',
      `process.stderr.write('a line of thirty-two characters.\\n'.repeat(20000), () => process.stdout.write('{"done":1}\\n'));
       process.stdin.resume();`,
    );
    await using line = await open(script, {}, { onStderr: (text) => lines.push(text) });
    await new Listener(line).received(1);
    await line[Symbol.asyncDispose]();
    expect(lines).toHaveLength(20_000);
    expect(line.stderrTail().length).toBe(64 * 1024);
  });

  it('sees only the environment that is on the list, and its working directory', async () => {
    using dir = scripts();
    process.env['SECRET_OF_THE_PROXY'] = 'x';
    const script = dir.write(
      'env.mjs',
      `console.log(JSON.stringify({ cwd: process.cwd(), added: process.env.ADDED, secret: process.env.SECRET_OF_THE_PROXY }));`,
    );
    await using line = await open(script, { env: { ADDED: 'yes' }, cwd: '/' });
    expect(await new Listener(line).received(1)).toEqual(['{"cwd":"/","added":"yes"}']);
    delete process.env['SECRET_OF_THE_PROXY'];
  });
});

describe('a child that cannot be started', () => {
  it.each([
    [
      { command: 'no-such-command-anywhere' },
      'cannot start the server "no-such-command-anywhere": no such command; check its spelling and PATH',
    ],
    [
      { command: '/etc/passwd' },
      'cannot start the server "/etc/passwd": it is not an executable file, or may not be run by this user',
    ],
    [
      { command: 'node', cwd: '/no/such/dir' },
      'cannot start the server "node": its working directory /no/such/dir does not exist',
    ],
    [{ command: '' }, 'cannot start the server ""'],
  ])('%j is refused in plain words', async (options, message) => {
    await expect(openChild(options, { clock: realClock, log: silentLog })).rejects.toMatchObject({
      code: 'spawn_failed',
      message: expect.stringContaining(message),
    });
  });
});

const FAMILY = `
  import { spawn } from 'node:child_process';
  const [, self, role] = process.argv;
  process.on('SIGTERM', () => {});
  setInterval(() => {}, 1000);
  if (role === undefined) {
    const kin = [
      spawn(process.execPath, [self, 'grandchild'], { stdio: 'inherit' }),
      spawn(process.execPath, [self, 'runaway'], { stdio: 'ignore', detached: true }),
    ];
    kin[1].unref();
    process.stdin.on('data', () => process.exit(1));
  } else if (role === 'grandchild') {
    process.stdout.write('{"up":1}\\n');
  }
`;

describe.runIf(existsSync('/proc/self/environ'))('what a child started', () => {
  it('ends with it, also what ignores SIGTERM or left its process group', async () => {
    using dir = scripts();
    const script = dir.write('family.mjs', FAMILY);
    const line = await open(script, { grace: { stdinMs: 50, termMs: 100 } });
    await new Listener(line).received(1);
    while ((await processesNaming(script)).length < 3) await new Promise((resolve) => setImmediate(resolve));
    await line[Symbol.asyncDispose]();
    expect(await processesNaming(script)).toEqual([]);
  });

  it('ends when the child dies by itself, and does not keep the line open', async () => {
    using dir = scripts();
    const script = dir.write('family.mjs', FAMILY);
    await using line = await open(script, { grace: { stdinMs: 50, termMs: 100 } });
    const heard = new Listener(line);
    await heard.received(1);
    await line.send('{"exit":1}');
    expect(await heard.closed()).toMatchObject({ code: 'child_exited', data: { exitCode: 1 } });
    await allGone(script);
  });

  it('ends at once when the line is destroyed', async () => {
    using dir = scripts();
    const script = dir.write('family.mjs', FAMILY);
    const line = await open(script);
    const heard = new Listener(line);
    await heard.received(1);
    line.destroy(new ProxyError('draining', 'now'));
    expect((await heard.closed())?.message).toBe('now');
    await line[Symbol.asyncDispose]();
    expect(await processesNaming(script)).toEqual([]);
  });

  it('leaves no descriptor, timer or handle of ours behind', async () => {
    using dir = scripts();
    const script = dir.write('echo.mjs', ECHO);
    const count = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
    await (await open(script))[Symbol.asyncDispose]();
    const before = await count();
    for (let times = 0; times < 5; times += 1) {
      const line = await open(script);
      const heard = new Listener(line);
      await line.send('{}');
      await heard.received(1);
      await line[Symbol.asyncDispose]();
    }
    expect(await count()).toBe(before);
  });
});
