import { type HeaderMap, ProxyError } from '@shadowcat/kernel';

/** What a listener on the loopback interface is called, whatever its port. */
export const LOOPBACK_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

/** How many Host values are remembered as good: with any port allowed there are many. */
const REMEMBERED = 100;

/**
 * Judges the Host of requests: a page that rebinds its own name to this address still sends that name (DNS rebinding).
 * `allowed` holds names as in a URL, lower case, IPv6 in brackets; with a port it must be that one, without any will do;
 * `*` is every name.
 */
export function hostRule(allowed: readonly string[]): (headers: HeaderMap) => ProxyError | undefined {
  const names = new Set(allowed.map((name) => name.toLowerCase()));
  const anything = names.has('*');
  const good = new Set<string>();
  return (headers) => {
    const host = headers['host'];
    if (typeof host === 'string' && good.has(host)) return undefined;
    if (typeof host !== 'string' || host === '') {
      const what = host === undefined || host === '' ? 'no Host header' : 'more than one Host header';
      return new ProxyError('invalid_request', `the request has ${what}`);
    }
    const lower = host.toLowerCase();
    if (anything || names.has(lower) || names.has(withoutPort(lower))) {
      if (good.size < REMEMBERED) good.add(host);
      return undefined;
    }
    const hint = 'use an address of this proxy, or allow the name with --allow-host';
    return new ProxyError('forbidden_host', `the Host ${quoted(host)} is not served here; ${hint}`);
  };
}

function withoutPort(host: string): string {
  return host.replace(/:\d*$/, '');
}

/** A value from outside, short and on one line. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
}
