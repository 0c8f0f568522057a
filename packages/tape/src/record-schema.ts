import type { Json } from '@shadowcat/wire';
import { EXCHANGE_ENDS, TAPE_VERSION, type TapeRecord } from './records.js';

/** One member of a record: its JSON Schema. */
interface Member {
  readonly required?: true;
  readonly schema: { readonly [key: string]: Json };
}

type Kinds = Exclude<TapeRecord, { readonly k: 'other' }>['k'];
type MembersOf<K extends Kinds> = Exclude<
  keyof Extract<TapeRecord, { readonly k: K }>,
  'k' | 'line' | 't' | 'text' | 'extra'
>;
/** Every member of the types has to be here, and nothing else: the schema cannot say less or more than the reader. */
type Shape<K extends Kinds> = { readonly [M in MembersOf<K>]: Member };
interface Kind<K extends Kinds> {
  readonly what: string;
  readonly members: Shape<K>;
}

const text = (description: string): Member => ({ schema: { type: 'string', description } });
const count = (description: string): Member => ({ schema: { type: 'integer', minimum: 0, description } });
const flag = (description: string): Member => ({ schema: { type: 'boolean', description } });
const oneOf = (values: readonly string[], description: string): Member => ({
  schema: { enum: [...values], description },
});
const object = (description: string): Member => ({ schema: { type: 'object', description } });
const needed = (member: Member): Member => ({ ...member, required: true });

const lane = needed({
  schema: { type: 'string', pattern: '^(-|s[1-9][0-9]*)$', description: 'the lane: a session, or - for none' },
});
const exchange = needed(text('the exchange: a name that is unique in its lane'));
const sender = oneOf(['client', 'server'], 'who sent it');
const sha = needed({ schema: { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'SHA-256, lower-case hex' } });
const lines = needed(count('lines before this one'));
const sse: Member = {
  schema: {
    type: 'object',
    description: 'how the event was framed',
    properties: { id: { type: 'string' }, event: { type: 'string' }, retry: { type: 'integer' } },
  },
};
const blobs: Member = {
  schema: {
    type: 'array',
    description: 'strings of the message that lie beside the tape; "" stands in their place',
    items: {
      type: 'object',
      required: ['at', 'sha', 'type', 'as'],
      properties: {
        at: { type: 'string', description: 'JSON Pointer into the message' },
        sha: sha.schema,
        type: { type: 'string', pattern: '^[a-z0-9]{1,8}$' },
        as: { enum: ['base64', 'text', 'json'] },
      },
    },
  },
};
const beside = {
  s: lane,
  x: text('the exchange, if it belongs to one'),
  from: sender,
  why: text('why it is no message'),
};

const KINDS: { readonly [K in Kinds]: Kind<K> } = {
  head: {
    what: 'the first line',
    members: {
      v: needed({ schema: { const: TAPE_VERSION, description: 'version of the format' } }),
      form: needed(oneOf(['capture', 'golden'], 'written live, or made for committing')),
      requires: { schema: { type: 'array', items: { type: 'string' }, description: 'features a reader has to know' } },
      scope: oneOf(['session', 'sessionless', 'all'], 'what is on the tape'),
      at: text('when the recording began, ISO 8601'),
      by: text('what wrote the tape'),
      process: text('which process records it: its number and a fingerprint'),
      redaction: {
        schema: {
          type: 'object',
          required: ['policy'],
          properties: { policy: { type: 'string' }, key: { type: 'string' } },
          description: 'the rules, and a fingerprint of the key that made the placeholders',
        },
      },
    },
  },
  conn: {
    what: 'a lane begins or ends',
    members: {
      s: lane,
      event: needed(oneOf(['opened', 'closed'], 'which of the two')),
      by: needed(oneOf(['client', 'server', 'proxy'], 'whose doing')),
    },
  },
  sess: {
    what: 'what was learned of a session',
    members: {
      s: lane,
      era: needed(oneOf(['legacy', 'modern'], 'before 2026-07-28, or since')),
      version: text('protocol revision'),
      client: object('the client info'),
      server: object('the server info'),
      resumed: flag('the session is older than the recording'),
      result: object('what its initialize was answered'),
    },
  },
  msg: {
    what: 'a JSON-RPC message, in m',
    members: { s: lane, x: exchange, from: needed(sender), batch: flag('it was in a batch'), sse, blobs },
  },
  http: {
    what: 'a request head or a reply head',
    members: {
      s: lane,
      x: exchange,
      from: needed(sender),
      method: text('of a request'),
      target: text('of a request'),
      status: count('of a reply'),
      upstream: text('who answered'),
      headers: {
        schema: { type: 'object', additionalProperties: { type: 'string' }, description: 'allow-listed fields' },
      },
    },
  },
  sse: { what: 'an event without a message', members: { s: lane, x: exchange, sse } },
  'x-': {
    what: 'an exchange is over',
    members: {
      s: lane,
      x: exchange,
      end: needed(oneOf(EXCHANGE_ENDS, 'how')),
      code: text('of the error of the proxy'),
      message: text('of the error of the proxy'),
    },
  },
  raw: { what: 'text that is no message', members: beside },
  err: { what: 'a line of stderr', members: beside },
  note: { what: 'what the proxy did on its own', members: beside },
  gap: { what: 'records are missing', members: { lost: needed(count('how many')), why: text('why') } },
  ckpt: { what: 'a checkpoint', members: { lines, sha } },
  end: {
    what: 'the last line',
    members: { lines, lost: count('records that are missing'), recovered: flag('by tape recover'), sha },
  },
};

/** Members that are text on a record, under the name they have in the file. */
const CONTENT: Partial<Record<Kinds, readonly [string, Member]>> = {
  msg: ['m', needed(object('the wire text of the message; always the last member'))],
  raw: ['text', needed(text('what it was'))],
  err: ['text', needed(text('what it was'))],
  note: ['text', needed(text('what it was'))],
};

/** The JSON Schema of one line of a tape. Kinds that it does not know are allowed, as a reader has to allow them. */
export function tapeSchema(): { readonly [key: string]: Json } {
  const kinds = Object.keys(KINDS) as Kinds[];
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `A record of a Shadowcat tape, version ${TAPE_VERSION}: one line`,
    type: 'object',
    required: ['k'],
    properties: { k: { type: 'string', description: 'the kind; the first member' } },
    oneOf: [
      ...kinds.map((kind) => ({ $ref: `#/$defs/${kind}` })),
      { title: 'a kind of a later version', properties: { k: { not: { enum: kinds } } } },
    ],
    $defs: Object.fromEntries(kinds.map((kind) => [kind, kindSchema(kind)])),
  };
}

function kindSchema(kind: Kinds): { readonly [key: string]: Json } {
  const { what, members } = KINDS[kind];
  const content = CONTENT[kind];
  const all: (readonly [string, Member])[] = [
    ...Object.entries<Member>(members),
    ...(content === undefined ? [] : [content]),
  ];
  return {
    title: what,
    type: 'object',
    required: ['k', ...all.filter(([, { required }]) => required === true).map(([name]) => name)],
    properties: {
      k: { const: kind },
      ...(kind === 'head' ? {} : { t: { type: 'integer', description: 'microseconds since the record before' } }),
      ...Object.fromEntries(all.map(([name, { schema }]) => [name, schema])),
    },
  };
}
