import { hostname, networkInterfaces } from 'node:os';
import { LOOPBACK_HOSTS, LOOPBACK_ORIGINS } from '@shadowcat/pipeline';
import type { AccessConfig } from './contract.js';

const ANY_ADDRESS = new Set(['0.0.0.0', '::']);

const inUrl = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/**
 * What a Host header may say: loopback names always, the address that is listened on, and what the operator allows. On all
 * addresses, those of this machine and its name: none of them can be rebound by a foreign page. What stands in front of the
 * proxy may send the name that clients use.
 */
export function knownHosts(host: string, { allowHosts, publicUrl }: AccessConfig): readonly string[] {
  const known = [...LOOPBACK_HOSTS, ...(ANY_ADDRESS.has(host) ? ownNames() : [inUrl(host)]), ...allowHosts];
  return publicUrl === undefined ? known : [...known, new URL(publicUrl).host];
}

function ownNames(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return [...addresses.map(({ address }) => inUrl(address.replace(/%.*$/, ''))), hostname().toLowerCase()];
}

/** What an Origin header may say: pages of this machine, and what the operator allows. */
export function knownOrigins(allowed: readonly string[]): readonly string[] {
  return [...LOOPBACK_ORIGINS, ...allowed];
}
