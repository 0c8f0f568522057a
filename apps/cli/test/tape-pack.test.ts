import {
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const TAPES = join(import.meta.dirname, '..', '..', '..', 'packages', 'tape', 'test', 'tapes');
const BLOB = 'blobs/57/00990e13af4e9237f8d563d41e0c43bb18679155259e6e43d3b1bea5d60694.png';

function withTapes(): string {
  const cwd = emptyDirectory({ 'golden.overlay.yaml': 'ignore: []\n' });
  for (const form of ['capture', 'golden'])
    copyFileSync(join(TAPES, `v1-${form}.tape.jsonl`), join(cwd, `${form}.tape.jsonl`));
  cpSync(join(TAPES, 'blobs'), join(cwd, 'blobs'), { recursive: true });
  return cwd;
}

const filesIn = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();

const packed = async (cwd: string, ...more: string[]) =>
  shadowcat(['tape', 'pack', 'golden.tape.jsonl', ...more], { cwd });

/** Its overlay would have a name that no header has room for. */
const LONG = `${'x'.repeat(77)}.tape.jsonl`;

describe('tape pack', () => {
  it('makes one file of a tape, its blobs and its overlay, and unpack the same files again', async () => {
    const cwd = withTapes();
    expect(await packed(cwd)).toMatchObject({
      code: 0,
      out: 'golden.tape.tar.gz\n',
      err: '1 tape, 1 overlay, 1 blob\n',
    });
    expect(statSync(join(cwd, 'golden.tape.tar.gz')).mode & 0o777).toBe(0o600);
    expect(await shadowcat(['tape', 'unpack', 'golden.tape.tar.gz', '-o', 'there'], { cwd })).toMatchObject({
      code: 0,
      out: 'there/golden.tape.jsonl\n',
      err: '1 tape, 1 overlay, 1 blob\n',
    });
    expect(filesIn(join(cwd, 'there'))).toEqual([BLOB, 'golden.overlay.yaml', 'golden.tape.jsonl']);
    for (const file of filesIn(join(cwd, 'there'))) {
      expect(readFileSync(join(cwd, 'there', file))).toEqual(readFileSync(join(cwd, file)));
      expect(statSync(join(cwd, 'there', file)).mode & 0o777).toBe(0o600);
    }
    expect(readdirSync(cwd).sort()).toEqual(
      ['blobs', 'capture.tape.jsonl', 'golden.overlay.yaml', 'golden.tape.jsonl', 'golden.tape.tar.gz', 'there'].sort(),
    );
  });

  it('makes the same bytes of the same tapes, in any order, and of nothing else', async () => {
    const [a, b] = [withTapes(), withTapes()];
    const names = ['capture.tape.jsonl', 'golden.tape.jsonl'];
    for (const [cwd, tapes] of [
      [a, names],
      [b, [...names].reverse()],
    ] as const)
      expect(await shadowcat(['tape', 'pack', ...tapes, '-o', 'both.tape.tar.gz'], { cwd })).toMatchObject({ code: 0 });
    const bytes = readFileSync(join(a, 'both.tape.tar.gz'));
    expect(bytes.equals(readFileSync(join(b, 'both.tape.tar.gz')))).toBe(true);
    // No time, and no system, in the head of gzip.
    expect([...bytes.subarray(4, 8), bytes[9]]).toEqual([0, 0, 0, 0, 255]);
    expect(namesOf(gunzipSync(bytes))).toEqual([
      'capture.tape.jsonl',
      'golden.overlay.yaml',
      'golden.tape.jsonl',
      BLOB,
    ]);
  });

  it('never writes over a tape, or over another pack unless it is named', async () => {
    const cwd = withTapes();
    linkSync(join(cwd, 'golden.tape.jsonl'), join(cwd, 'other.tar.gz'));
    expect(await packed(cwd, '-o', 'other.tar.gz')).toMatchObject({
      code: 2,
      err: 'shadowcat: -o: other.tar.gz is what is read: name another file\n',
    });
    expect(await packed(cwd)).toMatchObject({ code: 0 });
    expect(await packed(cwd)).toMatchObject({
      code: 2,
      err: 'shadowcat: golden.tape.tar.gz is there already: name another file with -o\n',
    });
    expect(await packed(cwd, '-o', 'golden.tape.tar.gz')).toMatchObject({ code: 0 });
  });

  it('packs no secrets unless it is told not to look', async () => {
    const cwd = withTapes();
    writeFileSync(join(cwd, 'golden.overlay.yaml'), `replace:\n  - password: hunter2-hunter2\n`);
    const refused = await packed(cwd);
    expect(refused).toMatchObject({ code: 6, out: '' });
    expect(refused.err).toMatch(
      /^golden\.overlay\.yaml:2: .*password\n.*1 secret, so nothing was packed\n.*--no-scan\n$/,
    );
    expect(refused.err).not.toContain('hunter2');
    expect(existsSync(join(cwd, 'golden.tape.tar.gz'))).toBe(false);
    const token = await shadowcat(['tape', 'pack', 'capture.tape.jsonl', '--redact-pattern', 'drawing'], { cwd });
    expect(token).toMatchObject({ code: 6, err: expect.stringMatching(/^capture\.tape\.jsonl:\d+: \/text: /) });
    expect(await packed(cwd, '--no-scan')).toMatchObject({ code: 0 });
  });

  it('refuses tapes that are cut off or lack a blob', async () => {
    const cwd = withTapes();
    const text = readFileSync(join(cwd, 'capture.tape.jsonl'), 'utf8');
    writeFileSync(join(cwd, 'cut.tape.jsonl'), text.slice(0, -100));
    mkdirSync(join(cwd, 'alone'));
    copyFileSync(join(cwd, 'golden.tape.jsonl'), join(cwd, 'alone', 'alone.tape.jsonl'));
    for (const name of ['cut.tape.jsonl', 'alone/alone.tape.jsonl']) {
      const outcome = await shadowcat(['tape', 'pack', name, '-o', 'x.tape.tar.gz'], { cwd });
      expect(outcome).toMatchObject({ code: 3, out: '', err: expect.stringContaining(name) });
    }
    expect(existsSync(join(cwd, 'x.tape.tar.gz'))).toBe(false);
  });

  it.each([
    [['capture.tape.jsonl', 'golden.tape.jsonl'], /several tapes: say with -o/],
    [['golden.tape.jsonl', 'sub/Golden.tape.jsonl', '-o', 'x.gz'], /two tapes called Golden/],
    [['golden.overlay.yaml'], /has to end in \.tape\.jsonl/],
    [[LONG], /and have 87 bytes at most/],
    [['golden.tape.jsonl', '-o', 'golden.tape.jsonl'], /-o: golden\.tape\.jsonl is what is read/],
  ])('is told what is wrong with %j', async (argv, message) => {
    const cwd = withTapes();
    copyFileSync(join(cwd, 'capture.tape.jsonl'), join(cwd, LONG));
    mkdirSync(join(cwd, 'sub'));
    copyFileSync(join(cwd, 'capture.tape.jsonl'), join(cwd, 'sub', 'Golden.tape.jsonl'));
    expect(await shadowcat(['tape', 'pack', ...argv], { cwd })).toMatchObject({
      code: 2,
      err: expect.stringMatching(message),
    });
  });
});

/** The names in a tar archive. */
function namesOf(archive: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; archive[at] !== 0; ) {
    const text = (from: number, to: number): string =>
      archive.toString('utf8', at + from, at + to).replaceAll('\0', '');
    names.push(text(0, 100));
    at += 512 + Math.ceil(Number.parseInt(text(124, 136), 8) / 512) * 512;
  }
  return names;
}

interface Entry {
  readonly name: string;
  readonly bytes?: Uint8Array;
  readonly type?: string;
  readonly link?: string;
  readonly size?: number;
}

/** An archive as somebody with bad intentions makes it. */
function archiveOf(entries: readonly Entry[]): Buffer {
  const parts = entries.map(({ name, bytes = Buffer.alloc(0), type = '0', link = '', size = bytes.length }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000777\x000000000\x000000000\0', 100);
    header.write(`${size.toString(8).padStart(11, '0')}\x0000000000000\0`, 124);
    header.write('        ', 148);
    header.write(type, 156);
    header.write(link, 157);
    header.write('ustar\x0000', 257);
    const sum = header.reduce((all, byte) => all + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

const TAPE = readFileSync(join(TAPES, 'v1-capture.tape.jsonl'));
const good = { name: 'a.tape.jsonl', bytes: TAPE };

describe('tape unpack', () => {
  it('reads what other programs pack: directories, ./ and filling', async () => {
    const archive = archiveOf([
      { name: './', type: '5' },
      { name: './a.tape.jsonl', bytes: TAPE },
    ]);
    const cwd = emptyDirectory({});
    writeFileSync(join(cwd, 'bug.tgz'), gzipSync(Buffer.concat([archive, Buffer.alloc(9 * 1024)])));
    expect(await shadowcat(['tape', 'unpack', 'bug.tgz'], { cwd })).toMatchObject({
      code: 0,
      out: 'bug/a.tape.jsonl\n',
    });
  });

  it.each<[what: string, content: Buffer, why: RegExp]>([
    [
      'a path that leads up',
      gzipSync(archiveOf([good, { name: '../b.tape.jsonl', bytes: TAPE }])),
      /is no tape, overlay/,
    ],
    ['an absolute path', gzipSync(archiveOf([{ name: '/srv/b.tape.jsonl', bytes: TAPE }])), /is no tape, overlay/],
    ['a path of Windows', gzipSync(archiveOf([{ name: '..\\b.tape.jsonl', bytes: TAPE }])), /is no tape, overlay/],
    ['a device of Windows', gzipSync(archiveOf([{ name: 'CON.tape.jsonl', bytes: TAPE }])), /is no tape, overlay/],
    ['one with a blank', gzipSync(archiveOf([{ name: 'CON .tape.jsonl', bytes: TAPE }])), /is no tape, overlay/],
    ['one in small digits', gzipSync(archiveOf([{ name: 'com¹.tape.jsonl', bytes: TAPE }])), /is no tape, overlay/],
    ['a blob elsewhere', gzipSync(archiveOf([good, { name: 'blobs/57/../../x.png' }])), /is no tape, overlay/],
    ['another file', gzipSync(archiveOf([good, { name: '.bashrc' }])), /is no tape, overlay/],
    ['a symbolic link', gzipSync(archiveOf([{ name: 'blobs', type: '2', link: '/etc' }, good])), /is no plain file/],
    [
      'a hard link',
      gzipSync(archiveOf([{ name: 'b.tape.jsonl', type: '1', link: '/etc/passwd' }])),
      /is no plain file/,
    ],
    [
      'directories without end',
      gzipSync(archiveOf(Array.from({ length: 10_001 }, () => ({ name: 'd/', type: '5' })))),
      /more than 10000 directories/,
    ],
    ['a pipe', gzipSync(archiveOf([{ name: 'b.tape.jsonl', type: '6' }])), /is no plain file/],
    ['a name that is continued', gzipSync(archiveOf([{ name: 'PaxHeader', type: 'x' }])), /is no plain file/],
    ['a file twice', gzipSync(archiveOf([good, { ...good, name: 'A.tape.jsonl' }])), /is in it twice/],
    ['a blob that no tape names', gzipSync(archiveOf([good, { name: BLOB, bytes: TAPE }])), /belongs to no tape/],
    ['an overlay without a tape', gzipSync(archiveOf([good, { name: 'b.overlay.yaml' }])), /belongs to no tape/],
    ['no tape', gzipSync(archiveOf([])), /there is no tape in it/],
    [
      'more than it says',
      gzipSync(archiveOf([{ ...good, size: TAPE.length - 1024 }])),
      /not a tar archive|header in it/,
    ],
    ['a huge file', gzipSync(archiveOf([{ ...good, size: 2 ** 31 }])), /holds more than \d+ files or \d+ bytes/],
    ['less than it says', gzipSync(archiveOf([{ ...good, size: 2 ** 20 }])), /it is cut off/],
    ['a tape that is none', gzipSync(archiveOf([{ ...good, bytes: Buffer.from('x') }])), /a\.tape\.jsonl:1: /],
    ['something behind its end', gzipSync(Buffer.concat([archiveOf([good]), TAPE])), /something follows its end/],
    [
      'zeros without end',
      gzipSync(Buffer.concat([archiveOf([good]), Buffer.alloc(4 << 20)])),
      /something follows its end/,
    ],
    ['no gzip', archiveOf([good]), /incorrect header check/],
    ['gzip that is cut off', gzipSync(archiveOf([good])).subarray(0, -200), /unexpected end of file/],
    ['gzip of other bytes', damaged(gzipSync(archiveOf([good]))), /incorrect data check/],
  ])('refuses %s, and leaves nothing behind', async (_, content, why) => {
    const cwd = emptyDirectory({});
    mkdirSync(join(cwd, 'in'));
    writeFileSync(join(cwd, 'in', 'x.tar.gz'), content);
    const outcome = await shadowcat(['tape', 'unpack', 'x.tar.gz'], { cwd: join(cwd, 'in') });
    expect(outcome).toMatchObject({ code: 3, out: '', err: expect.stringMatching(why) });
    expect(filesIn(cwd)).toEqual(['in/x.tar.gz']);
    expect(readdirSync(join(cwd, 'in'))).toEqual(['x.tar.gz']);
  });

  it('touches nothing that is there', async () => {
    const cwd = withTapes();
    await packed(cwd);
    mkdirSync(join(cwd, 'golden'));
    expect(await shadowcat(['tape', 'unpack', 'golden.tape.tar.gz'], { cwd })).toMatchObject({
      code: 2,
      err: expect.stringContaining('golden is there already'),
    });
    expect(await shadowcat(['tape', 'unpack', 'golden.tape.jsonl'], { cwd })).toMatchObject({
      code: 2,
      err: expect.stringContaining('say with -o'),
    });
  });
});

/** With another checksum at its end. */
function damaged(gzip: Buffer): Buffer {
  const bytes = Buffer.from(gzip);
  bytes.writeUInt32LE((bytes.readUInt32LE(bytes.length - 8) ^ 1) >>> 0, bytes.length - 8);
  return bytes;
}
