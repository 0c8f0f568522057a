import {
  type JsonObject,
  LEGACY_VERSIONS,
  META_CLIENT_CAPABILITIES,
  META_CLIENT_INFO,
  META_SERVER_INFO,
  META_VERSION,
  MODERN,
} from '@shadowcat/wire';
import { type Dialogue, isObject, RpcRefusal } from './dialogue.js';

/** What a server says about itself. */
export interface ServerFacts {
  readonly name: string;
  readonly version: string;
  readonly protocolVersion: string;
  /** `undefined`: it has none to offer. */
  readonly tools: number | undefined;
}

const CLIENT = { name: 'shadowcat-doctor', version: '1' };

/** Lists longer than this are counted no further. */
const MAX_PAGES = 100;

/** Every modern request says this (2026-07-28, "Request metadata"). */
const MODERN_META: JsonObject = {
  [META_VERSION]: MODERN,
  [META_CLIENT_INFO]: CLIENT,
  [META_CLIENT_CAPABILITIES]: {},
};

/** Opens a conversation as clients do, the legacy way first, and counts the tools. */
export async function shakeHands(dialogue: Dialogue): Promise<ServerFacts> {
  try {
    return await legacy(dialogue);
  } catch (error) {
    // A server that refuses `initialize` may be a modern one; if it is neither, the first refusal says more.
    if (!(error instanceof RpcRefusal)) throw error;
    return modern(dialogue).catch(() => {
      throw error;
    });
  }
}

async function legacy(dialogue: Dialogue): Promise<ServerFacts> {
  const protocolVersion = LEGACY_VERSIONS[0] ?? '';
  const answer = await dialogue.ask('initialize', { protocolVersion, capabilities: {}, clientInfo: CLIENT });
  await dialogue.tell('notifications/initialized');
  return {
    ...nameOf(answer['serverInfo']),
    protocolVersion: String(answer['protocolVersion'] ?? 'unknown'),
    tools: hasTools(answer) ? await countTools(dialogue, {}) : undefined,
  };
}

async function modern(dialogue: Dialogue): Promise<ServerFacts> {
  const answer = await dialogue.ask('server/discover', { _meta: MODERN_META });
  const meta = isObject(answer['_meta']) ? answer['_meta'] : {};
  return {
    ...nameOf(answer['serverInfo'] ?? meta[META_SERVER_INFO]),
    protocolVersion: MODERN,
    tools: hasTools(answer) ? await countTools(dialogue, { _meta: MODERN_META }) : undefined,
  };
}

async function countTools(dialogue: Dialogue, params: JsonObject): Promise<number> {
  let count = 0;
  let cursor: JsonObject = {};
  for (let page = 0; page < MAX_PAGES; page++) {
    const answer = await dialogue.ask('tools/list', { ...params, ...cursor });
    if (Array.isArray(answer['tools'])) count += answer['tools'].length;
    const next = answer['nextCursor'];
    if (typeof next !== 'string') break;
    cursor = { cursor: next };
  }
  return count;
}

const hasTools = (answer: JsonObject): boolean =>
  isObject(answer['capabilities']) && answer['capabilities']['tools'] !== undefined;

function nameOf(info: unknown): { name: string; version: string } {
  const { name, version } = isObject(info) ? info : {};
  return { name: typeof name === 'string' ? name : 'unnamed', version: typeof version === 'string' ? version : '?' };
}
