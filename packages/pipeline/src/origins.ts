import { ProxyError } from '@shadowcat/kernel';
import { quoted } from './hosts.js';

/** Pages served from this machine, such as the MCP inspector, on any port. */
export const LOOPBACK_ORIGINS: readonly string[] = ['localhost', '127.0.0.1', '[::1]'].flatMap((host) => [
  `http://${host}:*`,
  `https://${host}:*`,
]);

/**
 * Judges the Origin of requests that browsers make (MCP, Streamable HTTP, "Security Warning"). `allowed` holds origins such
 * as `https://app.example`, with `:*` for any port, or `*` for every origin.
 */
export function originRule(allowed: readonly string[]): (origin: string) => ProxyError | undefined {
  const origins = new Set(allowed.map((origin) => origin.toLowerCase()));
  const anything = origins.has('*');
  return (origin) => {
    const lower = origin.toLowerCase();
    if (anything || origins.has(lower) || origins.has(`${lower.replace(/:\d+$/, '')}:*`)) return undefined;
    const hint = 'a page of another site may not use this proxy unless it is allowed with --allow-origin';
    return new ProxyError('forbidden_origin', `the Origin ${quoted(origin)} is refused: ${hint}`);
  };
}
