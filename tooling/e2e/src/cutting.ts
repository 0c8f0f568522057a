import { type RawSession, type SseEvent, sseEvents } from './raw-mcp.js';

/** A client that is cut from its stream now and then, and always comes back for the rest. */
export interface CutOptions {
  /** How many events it reads before each cut; after the last one it is not cut any more. */
  readonly cuts: readonly number[];
  /** Runs between a cut and the next connection. */
  readonly meanwhile?: (cut: number) => Promise<void>;
}

/** Posts a call and reads its stream to the answer, through all cuts. The messages in the order of their coming. */
export async function callThroughCuts(session: RawSession, call: object, options: CutOptions): Promise<unknown[]> {
  const messages: unknown[] = [];
  let lastEventId: string | undefined;
  for (let cut = 0; ; cut += 1) {
    const abort = new AbortController();
    const { signal } = abort;
    const response =
      lastEventId === undefined ? await session.post(call, { signal }) : await session.get({ lastEventId, signal });
    if (response.status !== 200) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
    const limit = options.cuts[cut] ?? Number.POSITIVE_INFINITY;
    const seen = await readSome(response, limit);
    for (const { id, data } of seen) {
      if (id !== undefined) lastEventId = id;
      if (data !== '') messages.push(JSON.parse(data));
    }
    abort.abort();
    if (seen.length < limit || isAnswer(messages.at(-1))) return messages;
    await options.meanwhile?.(cut);
  }
}

/** At most `limit` events; fewer when the stream ends. */
export async function readSome(response: Response, limit: number): Promise<SseEvent[]> {
  const seen: SseEvent[] = [];
  if (limit === 0) return seen;
  for await (const event of sseEvents(response)) {
    seen.push(event);
    if (seen.length >= limit) break;
  }
  return seen;
}

function isAnswer(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'id' in message && !('method' in message);
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
