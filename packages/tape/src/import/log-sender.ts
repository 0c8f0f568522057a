import type { Sender } from '../records.js';

/** How much like the server's end a name sounds: the higher one of two is the server. */
const ENDS: readonly (readonly [name: RegExp, rank: number])[] = [
  [/^(child|server|remote|upstream|mcp server|stdout)$/, 3],
  [/^(sse|ws|websocket|http|streamable ?http|stateless|statefulhttp|streamablehttp)$/, 2],
  [/^(stdio|stdin|proxy)$/, 1],
  [/^(client|editor|host|inspector|local|downstream|mcp client|claude|cursor)$/, 0],
];
const ARROW =
  /([a-z][a-z ]*?)\s*(?:\([^)]*\))?\s*(?:-+>|=+>|→|⇒|\bto\b)\s*([a-z][a-z ]*?)\s*(?:\([^)]*\))?\s*[\])]?\s*:?\s*$/i;
/** What stands right before the message, or is all there is. */
const CLIENT =
  /(?:\b(?:message )?from (?:the )?client|\bclient says|\bclient|\bstdin|\bc2s|(?:^|[\s\])])(?:-+>|=+>|>{1,3}|→))\s*[\])]?\s*:?\s*$/i;
const SERVER =
  /(?:\b(?:message )?from (?:the )?server|\bserver says|\bserver|\bstdout|\bs2c|(?:^|[\s\])])(?:<-+|<=+|<{1,3}|←))\s*[\])]?\s*:?\s*$/i;
const STDERR = /\bstderr\s*[\])]?\s*:?\s*$/i;

/**
 * Who sent the message behind these words of a log line, in the spellings of Claude Desktop (`Message from client:`), VS Code (`[editor -> server]`,
 * `[Client Says]`), gateways (`SSE → Child (session 4f):`), and of people (`-->`, `<--`, `[client]`, `stdout:`). `undefined`: it does not say.
 */
export function senderOf(words: string): Sender | 'stderr' | undefined {
  const last = words.slice(-120).trimEnd();
  if (last === '') return undefined;
  if (STDERR.test(last)) return 'stderr';
  const [, left, right] = ARROW.exec(last) ?? [];
  if (left !== undefined && right !== undefined) {
    const [from, to] = [rankOf(left), rankOf(right)];
    if (from !== undefined && to !== undefined && from !== to) return from > to ? 'server' : 'client';
  }
  if (CLIENT.test(last)) return 'client';
  return SERVER.test(last) ? 'server' : undefined;
}

function rankOf(name: string): number | undefined {
  const words = name.trim().toLowerCase();
  const last = words.split(' ').at(-1) ?? '';
  return ENDS.find(([pattern]) => pattern.test(words) || pattern.test(last))?.[1];
}
