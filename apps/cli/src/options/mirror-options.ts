import { PROXY } from './audience.js';
import { pointer } from './mirror-types.js';
import { upstreamUrl } from './network-types.js';
import { many, maybe, one } from './option.js';
import { percent, text } from './scalar-types.js';

/* A second server that is asked the same, for comparison. The section `mirror` has more. */

export const MIRROR_OPTIONS = [
  maybe({
    name: 'mirror-to',
    type: upstreamUrl,
    group: 'Mirror',
    commands: PROXY,
    help: 'address of a server that is asked the same, without the clients noticing; `shadowcat shadow report` shows where its answers differ',
    example: 'http://localhost:3001/mcp',
  }),
  one({
    name: 'mirror-percent',
    type: percent({ min: 0 }),
    fallback: '100%',
    group: 'Mirror',
    commands: PROXY,
    help: 'share of the requests that are mirrored, of those that only read',
  }),
  many({
    name: 'mirror-ignore',
    type: pointer,
    group: 'Mirror',
    commands: PROXY,
    help: 'JSON pointer within the result that is not compared, with all below it; * is any one step; repeatable',
    example: '/content/0/text',
  }),
  one({
    name: 'mirror-findings',
    type: text('file'),
    fallback: '.shadowcat/shadow.jsonl',
    group: 'Mirror',
    commands: [...PROXY, 'shadow'],
    help: 'where differences are kept: which places, of which types, how often; never the values',
  }),
] as const;
