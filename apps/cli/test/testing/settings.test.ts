import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { proxySettings, replaySettings } from '../../src/testing/settings.js';
import { emptyDirectory } from '../support/fake-host.js';

const NOTHING = { env: {}, cwd: '' };

function tapeIn(cwd: string): string {
  return join(cwd, 't.tape.jsonl');
}

describe('the settings of a tape in a test', () => {
  it('listens privately, whatever is configured for the proxy that people start', () => {
    const yaml = 'listen: 0.0.0.0:8787\ntoken: a-long-random-word\npath: /elsewhere\nadmin: any\nredact-key: [badge]\n';
    const cwd = emptyDirectory({ 't.tape.jsonl': '', 'shadowcat.yaml': yaml });
    const env = { SHADOWCAT_ALLOW_ORIGIN: 'https://app.example', SHADOWCAT_REPORT: 'junit=x.xml' };
    const config = replaySettings(tapeIn(cwd), {}, { cwd, env });
    expect(config).toMatchObject({
      listen: { host: '127.0.0.1', port: 0 },
      path: '/mcp',
      access: { token: undefined, allowOrigins: [], admin: 'loopback' },
      reports: [],
    });
    // What is secret is the project's own, as on the command line.
    expect(config.redaction.keys).toEqual(['badge']);
  });

  it('fails on what is left unused, and matches and answers as the command does by default', () => {
    const cwd = emptyDirectory({ 't.tape.jsonl': '' });
    expect(replaySettings(tapeIn(cwd), {}, { env: {}, cwd })).toMatchObject({
      tapes: [tapeIn(cwd)],
      allUsed: true,
      overlays: [],
      time: 'instant',
      maxRung: 'rule',
    });
  });

  it('takes what the test says', () => {
    const cwd = emptyDirectory({ 't.tape.jsonl': '', 'a.overlay.yaml': '', 'b.overlay.yaml': '' });
    const overlay = ['a', 'b'].map((name) => join(cwd, `${name}.overlay.yaml`));
    const options = { allUsed: false, overlay, time: 'x2', maxRung: 'exact' } as const;
    expect(replaySettings(tapeIn(cwd), options, { env: {}, cwd })).toMatchObject({
      allUsed: false,
      overlays: overlay,
      time: 2,
      maxRung: 'exact',
    });
  });

  it('says in the words of the test what is wrong', () => {
    const cwd = emptyDirectory({ 't.tape.jsonl': '' });
    const place = { env: {}, cwd };
    expect(() => replaySettings(tapeIn(cwd), { time: 'xfast' as 'x1' }, place)).toThrow(
      /^useTape: time: "xfast" is no/,
    );
    expect(() => replaySettings(tapeIn(cwd), { overlay: 'none.yaml' }, place)).toThrow(
      'useTape: overlay: there is no file none.yaml',
    );
    const upstream = { url: 'http://localhost:3000/mcp', headers: { host: 'x' } };
    expect(() => proxySettings(upstream, undefined, place)).toThrow(/^useTape: upstream\.headers: the header "host"/);
  });
});

describe('the real server of a tape', () => {
  it('is not recorded without a tape, whatever is configured for the proxy that people start', () => {
    const cwd = emptyDirectory({ 'shadowcat.yaml': 'record: tapes/\n' });
    for (const env of [{}, { SHADOWCAT_RECORD: 'tapes' }]) {
      expect(proxySettings('http://localhost:3000/mcp', undefined, { cwd, env }).recording).toBeUndefined();
    }
  });

  it('has an address, perhaps with headers', () => {
    const url = 'http://localhost:3000/mcp';
    for (const upstream of [url, new URL(url), { url }]) {
      expect(proxySettings(upstream, undefined, NOTHING).targets).toMatchObject([{ kind: 'url', url }]);
    }
    const withHeaders = { url, headers: { Authorization: 'Bearer a, b=c' } };
    expect(proxySettings(withHeaders, undefined, NOTHING).upstream.headers).toEqual({ authorization: 'Bearer a, b=c' });
  });

  it('is a command with what it needs', () => {
    const cwd = emptyDirectory();
    const upstream = { command: process.execPath, args: ['a b', '--c'], env: { TOKEN: 'x=y, z' }, cwd };
    expect(proxySettings(upstream, undefined, NOTHING).targets).toEqual([
      expect.objectContaining({ command: process.execPath, args: ['a b', '--c'], env: { TOKEN: 'x=y, z' }, cwd }),
    ]);
  });

  it('takes the place of the servers in the configuration file', () => {
    const yaml = 'upstreams:\n  a: { url: http://a:1/mcp }\n  b: { url: http://b:1/mcp }\n';
    const cwd = emptyDirectory({ 'shadowcat.yaml': yaml });
    const { targets } = proxySettings('http://localhost:3000/mcp', undefined, { env: {}, cwd });
    expect(targets.map(({ name }) => name)).toEqual(['http://localhost:3000/mcp']);
  });

  it('is recorded as a whole or not at all', () => {
    const cwd = emptyDirectory();
    const out = join(cwd, 'capture.tape.jsonl');
    const config = proxySettings('http://localhost:3000/mcp', out, { env: { SHADOWCAT_REDACT_KEY: 'badge' }, cwd });
    expect(config.recording).toMatchObject({ kind: 'file', path: out, required: true, redaction: { keys: ['badge'] } });
    expect(config.sessions.store).toBe('memory:');
  });
});
