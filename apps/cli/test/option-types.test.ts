import { describe, expect, it } from 'vitest';
import { hostName, isLoopback, listenAddress, upstreamUrl, urlPath, webOrigin } from '../src/options/network-types.js';
import { BadValue, type OptionType } from '../src/options/option-type.js';
import { bearerToken, envPair, header, storeUrl } from '../src/options/pair-types.js';
import { duration, flag, int, oneOf, percent, size } from '../src/options/scalar-types.js';

type Rows = [text: string, value: unknown, shown?: string][];

function reads<T>(name: string, type: OptionType<T>, rows: Rows): void {
  describe(name, () => {
    it.each(rows)('reads %j', (text: string, value: unknown) => {
      expect(type.parse(text)).toEqual(value);
    });
    it.each(rows)(
      'shows the value of %j as something that reads the same',
      (text: string, value: unknown, shown?: string) => {
        const written = type.show(type.parse(text));
        if (shown !== undefined) expect(written).toBe(shown);
        expect(type.parse(written)).toEqual(value);
      },
    );
  });
}

function refuses<T>(name: string, type: OptionType<T>, rows: readonly (readonly [string, RegExp])[]): void {
  it.each(rows)(`${name} refuses %j`, (text, message) => {
    expect(() => type.parse(text)).toThrow(BadValue);
    expect(() => type.parse(text)).toThrow(message);
  });
}

const sizes = size({ min: 1024, max: 1024 ** 3 });

reads('durations', duration({ zero: true }), [
  ['500ms', 500, '500ms'],
  ['30s', 30_000, '30s'],
  ['90s', 90_000, '90s'],
  ['5m', 300_000, '5m'],
  ['2h', 7_200_000, '2h'],
  ['1.5s', 1500, '1500ms'],
  ['24d', 2_073_600_000, '24d'],
  ['0', 0, '0'],
]);
refuses('durations', duration(), [
  ['30', /"30" is not a duration: write it with its unit, as 500ms, 30s, 5m or 2h/],
  ['soon', /"soon" is not a duration/],
  ['-1s', /not a duration/],
  ['1 s', /not a duration/],
  ['', /the value is empty/],
  ['0', /more than 0/],
  ['0s', /more than 0/],
  ['25d', /at most 24d/],
]);

reads('sizes', sizes, [
  ['4096', 4096, '4KiB'],
  ['4MiB', 4 * 1024 ** 2, '4MiB'],
  ['64k', 65_536, '64KiB'],
  ['64kB', 64_000, '64000'],
  ['1.5m', 1.5 * 1024 ** 2, '1536KiB'],
  ['1 GiB', 1024 ** 3, '1GiB'],
]);
refuses('sizes', sizes, [
  ['many', /"many" is not a size: write bytes or a unit/],
  ['4TiB', /not a size/],
  ['12', /write 1KiB to 1GiB/],
  ['2g', /write 1KiB to 1GiB/],
]);

reads('addresses to listen on', listenAddress, [
  ['127.0.0.1:8787', { host: '127.0.0.1', port: 8787 }],
  [':9000', { host: '127.0.0.1', port: 9000 }, '127.0.0.1:9000'],
  ['9000', { host: '127.0.0.1', port: 9000 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['[::1]:80', { host: '::1', port: 80 }, '[::1]:80'],
  ['MyHost.example:80', { host: 'myhost.example', port: 80 }],
]);
refuses('addresses to listen on', listenAddress, [
  ['localhost', /write host:port, as 127.0.0.1:8787/],
  ['127.0.0.1:65536', /not an address to listen on/],
  ['::1:80', /not an address to listen on/],
  ['http://localhost:80', /not an address to listen on/],
  ['*:80', /write 0.0.0.0 for all interfaces/],
]);

it.each([
  ['127.0.0.1', true],
  ['127.8.9.1', true],
  ['::1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['127.0.0.1.example.com', false],
  ['10.0.0.1', false],
])('%s is loopback: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

const target = (transport: string, name: string, url: string): unknown => ({ kind: 'url', transport, name, url });
reads('upstreams', upstreamUrl, [
  ['http://localhost:3000/mcp', target('http', 'http://localhost:3000/mcp', 'http://localhost:3000/mcp')],
  ['https://example.com', target('http', 'https://example.com/', 'https://example.com/')],
  ['http://a/mcp?key=secret', target('http', 'http://a/mcp', 'http://a/mcp?key=secret')],
  ['wss://a/mcp', target('ws', 'wss://a/mcp', 'wss://a/mcp')],
  ['sse+http://a:1/sse', target('sse', 'sse+http://a:1/sse', 'http://a:1/sse'), 'sse+http://a:1/sse'],
]);
refuses('upstreams', upstreamUrl, [
  ['localhost:3000', /write a URL, as http:\/\/localhost:3000\/mcp/],
  ['ftp://a/', /not a server address/],
  ['http://', /not a server address/],
  ['sse+ws://a/', /not a server address/],
  ['http://user:pass@a/mcp', /"a" is not usable with credentials in it/],
]);
it('never repeats credentials or a query of an upstream', () => {
  expect(() => upstreamUrl.parse('http://user:hunter2@a/mcp')).not.toThrow(/hunter2/);
  expect(upstreamUrl.conceal?.(upstreamUrl.parse('http://a/mcp?key=hunter2'))).toBe('http://a/mcp?***');
});

reads('headers', header, [
  ['x-api-key=abc=', { name: 'x-api-key', value: 'abc=' }],
  ['X-Api-Key: abc', { name: 'x-api-key', value: 'abc' }],
  ['x-empty=', { name: 'x-empty', value: '' }],
]);
refuses('headers', header, [
  ['x-api-key', /this is not a header: write name=value or "Name: value"/],
  ['bad name=1', /not a header/],
  ['x=a\r\nhost: b', /not a header/],
  ['Host=evil', /the header "host" is set by the proxy itself/],
  ['mcp-session-id=1', /set by the proxy itself/],
]);
it('never repeats what looked like a header', () => {
  expect(() => header.parse('hunter2 secret')).not.toThrow(/hunter2/);
});

reads('variables', envPair, [
  ['NAME=value', { name: 'NAME', value: 'value' }],
  ['NAME=', { name: 'NAME', value: '' }],
  ['NAME=a=b\nc', { name: 'NAME', value: 'a=b\nc' }],
  ['NAME', { name: 'NAME', value: undefined }],
]);
refuses('variables', envPair, [
  ['1NAME=x', /this is not a variable/],
  ['A B=x', /this is not a variable/],
  ['A=x\0', /this is not a variable/],
]);

reads('tokens', bearerToken, [['abc-._~+/==', 'abc-._~+/==']]);
refuses('tokens', bearerToken, [
  ['with space', /this is not a token: /],
  ['', /this is not a token: /],
]);

reads('stores', storeUrl, [
  ['memory:', 'memory:'],
  ['memory', 'memory:', 'memory:'],
  ['sqlite:.shadowcat/state.db', 'sqlite:.shadowcat/state.db'],
]);
refuses('stores', storeUrl, [
  ['postgres://a', /write sqlite: and a path/],
  ['sqlite:', /write sqlite: and a path/],
  ['sqlite://a/b', /write sqlite: and a path/],
]);

reads('booleans', flag, [
  ['true', true],
  ['off', false],
  ['1', true],
]);
refuses('booleans', flag, [['maybe', /write true or false/]]);
reads('numbers', int({ min: 1, max: 10 }), [['10', 10]]);
refuses('numbers', int({ min: 1, max: 10 }), [
  ['0', /from 1 to 10/],
  ['11', /from 1 to 10/],
  ['1.5', /from 1 to 10/],
  ['1e1', /from 1 to 10/],
]);
reads('percentages', percent({ min: 1 }), [
  ['20%', 0.2, '20%'],
  ['20', 0.2, '20%'],
  ['12.5%', 0.125, '12.5%'],
  ['100', 1, '100%'],
]);
refuses('percentages', percent({ min: 1 }), [
  ['0', /"0" is not a percentage: write 1 to 100, as 20%/],
  ['101%', /not a percentage/],
  ['-5', /not a percentage/],
  ['half', /not a percentage/],
]);
refuses('choices', oneOf('a', 'b'), [['c', /write a, b/]]);
reads('paths', urlPath, [['/a/b', '/a/b']]);
refuses('paths', urlPath, [
  ['mcp', /begins with a slash/],
  ['/a b', /not a path/],
  ['/a?b', /not a path/],
]);
reads('hosts', hostName, [['MCP.example.com:80', 'mcp.example.com:80']]);
refuses('hosts', hostName, [['http://a', /not a host/]]);
reads('origins', webOrigin, [['https://app.example.com/', 'https://app.example.com']]);
refuses('origins', webOrigin, [
  ['https://a/b', /without a path/],
  ['a.example', /not an origin/],
]);
