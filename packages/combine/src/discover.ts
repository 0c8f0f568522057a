import { type Clock, type Exchange, type Log, ProxyError } from '@shadowcat/kernel';
import { ask, META_SERVER_INFO, MODERN, objectAt, withMembers } from '@shadowcat/wire';
import type { CombineMember } from './contract.js';
import { gather } from './gather.js';
import { Refused } from './member-list.js';
import type { OwnRequests } from './own-request.js';

export interface DiscoverParts {
  readonly members: readonly CombineMember[];
  readonly requests: OwnRequests;
  readonly name: string;
  readonly version: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a member says about itself. */
interface About {
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
 * The result of `server/discover` for all members together, as JSON: what any of them can do, and all instructions. A member
 * that does not answer is left out. Rejects with what the first member said when none answers.
 */
export async function discovered(client: Exchange, parts: DiscoverParts): Promise<string> {
  const { members, name, version, timeoutMs, clock, log } = parts;
  const abort = new AbortController();
  const asked = members.map((member) => ({
    answer: aboutOf(member, client, { ...parts, signal: abort.signal }).catch((error: unknown) =>
      ProxyError.from(error),
    ),
    patienceMs: timeoutMs,
  }));
  const answers = await gather<About | ProxyError>(asked, (answer) => !(answer instanceof ProxyError), clock);
  abort.abort(new ProxyError('upstream_timeout', `not everybody answered within ${timeoutMs} ms`));
  const all: { readonly member: string; readonly about: About }[] = [];
  let failure: ProxyError | undefined;
  for (const [at, about] of answers.entries()) {
    const member = members[at]?.name ?? '';
    if (about !== undefined && !(about instanceof ProxyError)) {
      all.push({ member, about });
      continue;
    }
    failure ??= about;
    const why = about?.message ?? `it did not answer within ${timeoutMs} ms`;
    log.warn({ member, err: about }, `${member} does not say what it can do (${why}); the others are shown`);
  }
  if (all.length === 0) throw failure;
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
