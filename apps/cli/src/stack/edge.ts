import { hostname, networkInterfaces } from 'node:os';
import { LOOPBACK_HOSTS, LOOPBACK_ORIGINS } from '@shadowcat/pipeline';

const ANY_ADDRESS = new Set(['0.0.0.0', '::']);

const inUrl = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/**
 * What a Host header may say: loopback names always, the address that is listened on, and what the operator allows. On all
 * addresses, those of this machine and its name: none of them can be rebound by a foreign page.
 */
export function knownHosts(host: string, allowed: readonly string[]): readonly string[] {
  return [...LOOPBACK_HOSTS, ...(ANY_ADDRESS.has(host) ? ownNames() : [inUrl(host)]), ...allowed];
}

function ownNames(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return [...addresses.map(({ address }) => inUrl(address.replace(/%.*$/, ''))), hostname().toLowerCase()];
}

/** What an Origin header may say: pages of this machine, and what the operator allows. */
export function knownOrigins(allowed: readonly string[]): readonly string[] {
  return [...LOOPBACK_ORIGINS, ...allowed];
}
