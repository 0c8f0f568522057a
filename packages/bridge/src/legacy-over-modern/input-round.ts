import { type JsonObject, type Message, withMembers } from '@shadowcat/wire';
import { asObject, type ClientFacts, cut, objectAt } from './client-facts.js';
import type { Question } from './questions.js';

/** One thing that a server wants to know before it can answer (2026-07-28, "Multi Round-Trip Requests"). */
export interface InputRequest {
  readonly key: string;
  readonly method: string;
  readonly paramsText: string | undefined;
}

/** What a modern server asks for instead of an answer. */
export interface InputRequired {
  readonly requests: readonly InputRequest[];
  /** Opaque; JSON text. */
  readonly stateText: string | undefined;
}

/** Reads it; `undefined` when the message is a final answer. */
export function inputRequired(answer: Message): InputRequired | undefined {
  const result = objectAt(answer.value, 'result');
  if (result?.['resultType'] !== 'input_required') return undefined;
  const requests = asObject(result['inputRequests']) ?? {};
  return {
    requests: Object.keys(requests).map((key) => ({
      key,
      method: String(objectAt(requests, key)?.['method']),
      paramsText: cut(answer.text, ['result', 'inputRequests', key, 'params']),
    })),
    stateText: typeof result['requestState'] === 'string' ? cut(answer.text, ['result', 'requestState']) : undefined,
  };
}

/** Why this client cannot be asked, in plain words; `undefined` when it can. */
export function cannotAsk(request: InputRequest, client: ClientFacts): string | undefined {
  const { method, paramsText } = request;
  const capability = CAPABILITIES.get(method);
  if (capability === undefined) return `the server asks for ${method}, which a legacy client cannot be asked`;
  const declared = asObject(client.capabilities[capability]);
  if (declared === undefined)
    return `the server asks for ${method}, but the client does not have the capability ${capability}`;
  const params = paramsText === undefined ? undefined : asObject(JSON.parse(paramsText) as JsonObject);
  if (method === 'elicitation/create' && params?.['mode'] === 'url' && declared['url'] === undefined) {
    return 'the server asks the user to open a URL, but the client does not have the capability elicitation.url';
  }
  if (params?.['tools'] !== undefined && method === 'sampling/createMessage' && declared['tools'] === undefined) {
    return 'the server asks for sampling with tools, but the client does not have the capability sampling.tools';
  }
  return undefined;
}

const CAPABILITIES: ReadonlyMap<string, string> = new Map([
  ['sampling/createMessage', 'sampling'],
  ['elicitation/create', 'elicitation'],
  ['roots/list', 'roots'],
]);

/** The parameters as legacy clients expect them: there, asking for a URL has an id of its own (2025-11-25, "Elicitation"). */
export function legacyParams({ method, paramsText }: InputRequest, newId: () => string): string | undefined {
  if (method !== 'elicitation/create' || paramsText === undefined) return paramsText;
  const params = asObject(JSON.parse(paramsText) as JsonObject);
  if (params?.['mode'] !== 'url' || params['elicitationId'] !== undefined) return paramsText;
  return withMembers(paramsText, [], { elicitationId: JSON.stringify(newId()) });
}

export interface Answers {
  /** The JSON text of `inputResponses`. */
  readonly responsesText: string;
}

/** Waits for all answers, or for the first that makes the others useless: its reason, in plain words. */
export async function collect(
  asked: readonly { readonly request: InputRequest; readonly question: Question }[],
): Promise<Answers | { readonly failure: string }> {
  const texts: string[] = [];
  const first = Promise.withResolvers<string>();
  const all = asked.map(async ({ request, question }, index) => {
    const outcome = await question.outcome;
    if (outcome.kind !== 'answered') {
      first.resolve(outcome.kind === 'expired' ? `the client did not answer ${request.method} in time` : 'withdrawn');
      return;
    }
    const result = cut(outcome.message.text, ['result']);
    if (result === undefined) first.resolve(refusal(request, outcome.message));
    else texts[index] = `${JSON.stringify(request.key)}:${result}`;
  });
  const failure = await Promise.race([first.promise, Promise.all(all).then(() => undefined)]);
  if (failure !== undefined) return { failure };
  // All are settled, and each has left its text unless it failed.
  return texts.filter(() => true).length === asked.length
    ? { responsesText: `{${texts.join(',')}}` }
    : { failure: await first.promise };
}

function refusal({ method }: InputRequest, message: Message): string {
  const error = objectAt(message.value, 'error');
  const said = error?.['message'];
  return `the client answered ${method} with an error: ${typeof said === 'string' ? said : 'it gave no reason'}`;
}
