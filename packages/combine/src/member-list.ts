import { type Exchange, ProxyError, type Reply } from '@shadowcat/kernel';
import { ask, elementTexts, type Message, objectAt, textAt } from '@shadowcat/wire';
import type { CombineMember } from './contract.js';
import { KINDS, type Kind } from './kinds.js';
import type { OwnRequests } from './own-request.js';

/** One entry of a member's list. */
export interface Item {
  /** Its name, URI or URI template. */
  readonly key: string;
  /** As the member wrote it. */
  readonly text: string;
}

/** A member's list, all pages of it. */
export interface MemberList {
  readonly items: readonly Item[];
  /** How long it may be kept, in milliseconds; 0: not at all (2026-07-28, "Caching"). */
  readonly ttlMs: number;
  readonly scope: 'public' | 'private';
}

/** A member refused by HTTP alone, for example because somebody has to log in first. */
export class Refused extends ProxyError {
  readonly reply: Reply;

  constructor(member: string, reply: Reply) {
    super('upstream_protocol', `${member} refused with HTTP ${reply.head.status}`);
    this.reply = reply;
  }
}

const MAX_PAGES = 100;
const MAX_ITEMS = 10_000;

/** "Method not found": the member has none of these. */
const UNKNOWN_METHOD = -32601;

export interface ListRequest {
  readonly kind: Kind;
  readonly client: Exchange;
  readonly requests: OwnRequests;
  readonly signal: AbortSignal;
}

/** All pages of one list of a member. Rejects with what kept the member from answering, `Refused` included. */
export async function listOf(
  member: CombineMember,
  { kind, client, requests, signal }: ListRequest,
): Promise<MemberList> {
  const { method } = KINDS[kind];
  const items: Item[] = [];
  let ttlMs = Number.POSITIVE_INFINITY;
  let scope: MemberList['scope'] = 'public';
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES && items.length < MAX_ITEMS; page += 1) {
    const params = cursor === undefined ? {} : { cursor };
    const posted = await ask(member.handler, requests.make({ client, method, params, signal }));
    if (posted.kind === 'refused') throw new Refused(member.name, posted.reply);
    const { message } = posted;
    const result = objectAt(message.value, 'result');
    if (result === undefined) {
      if (objectAt(message.value, 'error')?.['code'] === UNKNOWN_METHOD) return { items, ttlMs: 0, scope: 'public' };
      throw new ProxyError('upstream_protocol', `${member.name} answers ${method} with an error: ${errorOf(message)}`);
    }
    items.push(...itemsOf(message, kind));
    const lasts = result['ttlMs'];
    ttlMs = Math.min(ttlMs, typeof lasts === 'number' && lasts >= 0 ? lasts : 0);
    if (result['cacheScope'] !== 'public') scope = 'private';
    const next = result['nextCursor'];
    const nextText = typeof next === 'string' ? textAt(message.text, ['result', 'nextCursor']) : undefined;
    // A server that hands out the same cursor for ever would keep us busy for ever.
    if (nextText === undefined || nextText === cursor) break;
    cursor = nextText;
  }
  return { items: items.slice(0, MAX_ITEMS), ttlMs: Number.isFinite(ttlMs) ? ttlMs : 0, scope };
}

function itemsOf(message: Message, kind: Kind): Item[] {
  const { member, key } = KINDS[kind];
  const list = textAt(message.text, ['result', member]);
  const values = objectAt(message.value, 'result')?.[member];
  if (list === undefined || !Array.isArray(values)) return [];
  return elementTexts(list).flatMap((text, at) => {
    const value = (values[at] as { readonly [name: string]: unknown } | null)?.[key];
    return typeof value === 'string' ? [{ key: value, text }] : [];
  });
}

function errorOf(message: Message): string {
  const said = objectAt(message.value, 'error')?.['message'];
  return typeof said === 'string' ? said : 'without a message';
}
