import { type Clock, type Exchange, type Log, ProxyError } from '@shadowcat/kernel';
import { ask, META_SERVER_INFO, MODERN, objectAt, withMembers } from '@shadowcat/wire';
import type { Audience } from './audience.js';
import type { CombineMember } from './contract.js';
import { gather, type Waited } from './gather.js';
import { Refused } from './member-list.js';
import type { OwnRequests } from './own-request.js';
import type { Patience } from './patience.js';

export interface DiscoverParts {
  readonly members: readonly CombineMember[];
  readonly requests: OwnRequests;
  readonly name: string;
  readonly version: string;
  readonly patience: Patience;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a member says about itself. */
export interface About {
  readonly capabilities: { readonly [name: string]: unknown };
  readonly instructions: string | undefined;
}

/** What is promised while not all members have said what they can: lists that turn out to be empty do no harm. */
const ALL = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  completions: {},
  logging: {},
};

const OFFERED = ['tools', 'prompts', 'resources', 'completions', 'logging'] as const;

/**
 * The result of `server/discover` for all members together, as JSON: what any of them can do, and all instructions. Of a member
 * that does not answer it is what it said last. Rejects with what the first member said when nothing is known of any.
 */
export async function discovered(client: Exchange, audience: Audience, parts: DiscoverParts): Promise<string> {
  const { members, name, version, clock } = parts;
  const answers = await gather<About | Error>(
    members.map((member) => asked(member, { client, audience, parts })),
    {
      enough: (answer) => !(answer instanceof Error),
      good: members.some((member) => audience.about(member.name) !== undefined),
    },
    clock,
  );
  const all = members.flatMap(({ name: member }) => {
    const about = audience.about(member);
    return about === undefined ? [] : [{ member, about }];
  });
  if (all.length === 0) throw answers.find((answer) => answer instanceof Error);
  const info = JSON.stringify({ name, version });
  const instructions = all.flatMap(({ member, about }) =>
    about.instructions === undefined ? [] : [`# ${member}\n\n${about.instructions}`],
  );
  return withMembers('{}', [], {
    resultType: '"complete"',
    ttlMs: '0',
    cacheScope: '"private"',
    supportedVersions: JSON.stringify([MODERN]),
    capabilities: JSON.stringify(all.length < members.length ? ALL : capabilitiesOf(all.map(({ about }) => about))),
    instructions: instructions.length === 0 ? undefined : JSON.stringify(instructions.join('\n\n')),
    _meta: `{${JSON.stringify(META_SERVER_INFO)}:${info}}`,
  });
}

interface Asking {
  readonly client: Exchange;
  readonly audience: Audience;
  readonly parts: DiscoverParts;
}

function asked(member: CombineMember, { client, audience, parts }: Asking): Waited<About | Error> {
  const { patience, log } = parts;
  const { name } = member;
  const missed = (why: string, err?: Error): void => {
    if (!audience.hearNothing(name)) return;
    log.warn({ member: name, err }, `${name} does not say what it can do (${why}); the others are shown`);
  };
  return patience.ask<About>({
    member: name,
    whose: audience,
    what: 'discover',
    ask: (signal) => aboutOf(member, client, { ...parts, signal }),
    overdue: () => missed('it does not answer in time'),
    answered: (about) => {
      audience.hear(name, about);
      return about;
    },
    failed: (error) => missed(error.message, error),
  });
}

function capabilitiesOf(all: readonly About[]): object {
  const capabilities: Record<string, object> = {};
  for (const name of OFFERED) {
    if (!all.some(({ capabilities: mine }) => objectAt(mine, name) !== undefined)) continue;
    // The joined list changes by itself when a member is lost or comes back.
    capabilities[name] = name === 'completions' || name === 'logging' ? {} : { listChanged: true };
  }
  const subscribe = all.some(({ capabilities: mine }) => objectAt(mine, 'resources')?.['subscribe'] === true);
  if (subscribe) capabilities['resources'] = { listChanged: true, subscribe: true };
  return capabilities;
}

async function aboutOf(
  member: CombineMember,
  client: Exchange,
  { requests, signal }: DiscoverParts & { readonly signal: AbortSignal },
): Promise<About> {
  const posted = await ask(member.handler, requests.make({ client, method: 'server/discover', signal }));
  if (posted.kind === 'refused') throw new Refused(member.name, posted.reply);
  const result = objectAt(posted.message.value, 'result');
  if (result === undefined) {
    const said = objectAt(posted.message.value, 'error')?.['message'];
    throw new ProxyError('upstream_protocol', `${member.name} answers server/discover with an error: ${String(said)}`);
  }
  const { instructions } = result;
  return {
    capabilities: objectAt(result, 'capabilities') ?? {},
    instructions: typeof instructions === 'string' && instructions !== '' ? instructions : undefined,
  };
}
