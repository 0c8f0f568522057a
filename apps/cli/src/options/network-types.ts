import type { ListenAddress, UrlTarget } from '../stack/contract.js';
import { badValue, CONCEALED, type OptionType } from './option-type.js';

const LISTEN_HINT = 'write host:port, as 127.0.0.1:8787 or [::1]:8787, or a port alone';
const LOCAL = '127.0.0.1';

/** Where to listen. A port alone means loopback: other addresses have to be named. */
export const listenAddress: OptionType<ListenAddress> = {
  label: 'host:port',
  parse(value) {
    const match = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([^:[\]\s/]*))(?::(\d{1,5}))$/.exec(
      /^\d+$/.test(value) ? `:${value}` : value,
    );
    const port = Number(match?.[3]);
    if (match === null || port > 65_535) throw badValue(value, 'an address to listen on', LISTEN_HINT);
    const host = match[1] ?? match[2] ?? '';
    if (host === '*') throw badValue(value, 'an address to listen on', 'write 0.0.0.0 for all interfaces');
    return { host: host === '' ? LOCAL : host.toLowerCase(), port };
  },
  show: ({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`),
  schema: { type: ['string', 'integer'], pattern: '^([^/\\s]*:)?\\d{1,5}$', minimum: 0, maximum: 65_535 },
};

/** Whether only this machine can reach a listener there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

const SCHEMES = ['http', 'https', 'ws', 'wss', 'sse+http', 'sse+https'];
const URL_HINT = 'write a URL, as http://localhost:3000/mcp (also https, ws, wss, sse+http, sse+https)';

/** The address of a server. */
export const upstreamUrl: OptionType<UrlTarget> = {
  label: 'url',
  parse(given) {
    // A name ends before the scheme does; no address has a = there.
    const [, name, value = given] = /^([A-Za-z0-9][\w.-]{0,63})=(.*)$/s.exec(given) ?? [];
    const scheme = /^([a-z+]+):\/\//.exec(value)?.[1] ?? '';
    const plain = value.replace(/^sse\+/, '');
    if (!SCHEMES.includes(scheme) || !URL.canParse(plain)) throw badValue(value, 'a server address', URL_HINT);
    const url = new URL(plain);
    if (url.username !== '' || url.password !== '') {
      // The value may hold a password, so it is not repeated.
      throw badValue(url.host, 'usable with credentials in it', 'send them with --header "authorization: Basic …"');
    }
    const transport = scheme.startsWith('sse+') ? 'sse' : scheme.startsWith('ws') ? 'ws' : 'http';
    return { kind: 'url', transport, name: name ?? addressName(transport, url), url: url.href };
  },
  show: (target) => `${namePrefix(target)}${target.transport === 'sse' ? 'sse+' : ''}${target.url}`,
  conceal: (target) => {
    const { transport, url } = target;
    if (!url.includes('?')) return upstreamUrl.show(target);
    return `${namePrefix(target)}${addressName(transport, new URL(url))}?${CONCEALED}`;
  },
  schema: { type: 'string', pattern: `^([A-Za-z0-9][\\w.-]*=)?(${SCHEMES.join('|').replaceAll('+', '\\+')})://` },
};

/** The query stays out of names: keys are passed in it. */
function addressName(transport: UrlTarget['transport'], url: URL): string {
  return `${transport === 'sse' ? 'sse+' : ''}${url.protocol}//${url.host}${url.pathname}`;
}

function namePrefix({ name, transport, url }: UrlTarget): string {
  return name === addressName(transport, new URL(url)) ? '' : `${name}=`;
}

/** The path of an endpoint. */
export const urlPath: OptionType<string> = {
  label: 'path',
  parse(value) {
    if (!/^\/[\w\-./~%]*$/.test(value)) throw badValue(value, 'a path', 'write one that begins with a slash, as /mcp');
    return value;
  },
  show: (value) => value,
  schema: { type: 'string', pattern: '^/' },
};

/** An endpoint as clients know it. */
export const endpointUrl: OptionType<URL> = {
  label: 'url',
  parse(value) {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    const usable = url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
    if (!usable || url.search !== '' || url.hash !== '') {
      throw badValue(value, 'an endpoint', 'write it as clients do, as https://mcp.example.com/mcp');
    }
    return url;
  },
  show: (url) => url.href,
  schema: { type: 'string', pattern: '^https?://' },
};

/** What a Host header may hold: a name or address, with or without a port. */
export const hostName: OptionType<string> = {
  label: 'host[:port]',
  parse(value) {
    if (!/^(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?$/.test(value)) {
      throw badValue(value, 'a host', 'write a name as clients use it, as mcp.example.com or mcp.example.com:8787');
    }
    return value.toLowerCase();
  },
  show: (value) => value,
  schema: { type: 'string', minLength: 1 },
};

/** What an Origin header may hold. */
export const webOrigin: OptionType<string> = {
  label: 'origin',
  parse(value) {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || url.origin === 'null' || !(value === url.origin || value === `${url.origin}/`)) {
      throw badValue(value, 'an origin', 'write scheme and host without a path, as https://app.example.com');
    }
    return url.origin;
  },
  show: (value) => value,
  schema: { type: 'string', pattern: '^[a-z][a-z0-9+.-]*://' },
};
