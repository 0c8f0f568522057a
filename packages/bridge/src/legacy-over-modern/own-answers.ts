import { type Context, ProxyError } from '@shadowcat/kernel';
import { errorText, failureSlot, failureText, LEVELS, type Message, objectAt, responseText } from '@shadowcat/wire';
import type { BridgedSession } from './bridged-session.js';

/** Methods that a modern server does not have, each with its answer; the others go on to it. Never rejects: a failure is in the `context`. */
export async function ownAnswer(
  session: BridgedSession,
  request: Message,
  context: Context,
): Promise<string | undefined> {
  const answer = OWN.get(request.method ?? '');
  if (answer === undefined) return undefined;
  const idText = request.idText ?? 'null';
  try {
    return (await answer(session, request)) ?? responseText(idText, '{}');
  } catch (thrown) {
    const error = ProxyError.from(thrown);
    context.set(failureSlot, error);
    return errorText(error, idText);
  }
}

/** The whole answer, or nothing for an empty result. */
type Answer = (session: BridgedSession, request: Message) => Promise<string | undefined>;

const OWN: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ['ping', async () => undefined],
  [
    'logging/setLevel',
    async (session, request) => {
      const level = paramOf(request, 'level');
      if (session.offers !== undefined && session.offers['logging'] === undefined) return unknownMethod(request);
      if (level === undefined || !LEVELS.includes(level)) return invalid(request, 'level');
      session.logLevel = level;
      return undefined;
    },
  ],
  [
    'resources/subscribe',
    async (session, request) => {
      const uri = paramOf(request, 'uri');
      if (!takesSubscriptions(session)) return unknownMethod(request);
      if (uri === undefined) return invalid(request, 'uri');
      await session.subscribe(uri);
      return undefined;
    },
  ],
  [
    'resources/unsubscribe',
    async (session, request) => {
      const uri = paramOf(request, 'uri');
      if (!takesSubscriptions(session)) return unknownMethod(request);
      if (uri === undefined) return invalid(request, 'uri');
      await session.unsubscribe(uri);
      return undefined;
    },
  ],
  // No legacy revision has these; a stream of this kind would never end.
  ['server/discover', async (_session, request) => unknownMethod(request)],
  ['subscriptions/listen', async (_session, request) => unknownMethod(request)],
]);

function takesSubscriptions({ offers }: BridgedSession): boolean {
  return offers === undefined || objectAt(offers, 'resources')?.['subscribe'] === true;
}

function paramOf(request: Message, name: string): string | undefined {
  const value = objectAt(request.value, 'params')?.[name];
  return typeof value === 'string' ? value : undefined;
}

function unknownMethod(request: Message): string {
  return failureText(request.idText ?? 'null', { code: -32601, message: 'Method not found' });
}

function invalid(request: Message, param: string): string {
  const message = `Invalid params: ${param} is missing or unknown`;
  return failureText(request.idText ?? 'null', { code: -32602, message });
}
