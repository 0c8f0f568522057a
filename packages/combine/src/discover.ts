import { type Clock, type Exchange, type Log, ProxyError } from '@shadowcat/kernel';
import { ask, META_SERVER_INFO, MODERN, objectAt, withMembers } from '@shadowcat/wire';
import type { CombineMember } from './contract.js';
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
  const { members, name, version, log } = parts;
  const answers = await Promise.allSettled(members.map((member) => aboutOf(member, client, parts)));
  const all: { readonly member: string; readonly about: About }[] = [];
  let failure: unknown;
  for (const [at, answer] of answers.entries()) {
    const member = members[at]?.name ?? '';
    if (answer.status === 'fulfilled') all.push({ member, about: answer.value });
    else {
      failure ??= answer.reason;
      log.warn({ member, err: answer.reason }, `${member} does not say what it can do; the others are shown`);
    }
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

async function aboutOf(member: CombineMember, client: Exchange, parts: DiscoverParts): Promise<About> {
  const { requests, timeoutMs, clock } = parts;
  const abort = new AbortController();
  const late = new ProxyError('upstream_timeout', `${member.name} did not answer within ${timeoutMs} ms`);
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = clock.timer(timeoutMs, () => {
    abort.abort(late);
    reject(late);
  });
  try {
    const asking = ask(member.handler, requests.make({ client, method: 'server/discover', signal: abort.signal }));
    const posted = await Promise.race([asking, promise]);
    if (posted.kind === 'refused') throw new Refused(member.name, posted.reply);
    const result = objectAt(posted.message.value, 'result');
    if (result === undefined) {
      const said = objectAt(posted.message.value, 'error')?.['message'];
      throw new ProxyError(
        'upstream_protocol',
        `${member.name} answers server/discover with an error: ${String(said)}`,
      );
    }
    const { instructions } = result;
    return {
      capabilities: objectAt(result, 'capabilities') ?? {},
      instructions: typeof instructions === 'string' && instructions !== '' ? instructions : undefined,
    };
  } finally {
    timer.cancel();
  }
}
