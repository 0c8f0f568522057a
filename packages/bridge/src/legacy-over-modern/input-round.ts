import { asObject, type JsonObject, type Message, objectAt, textAt, withMembers } from '@shadowcat/wire';
import type { Asking } from '../askable.js';
import type { Question } from './questions.js';

/** One thing that a server wants to know before it can answer (2026-07-28, "Multi Round-Trip Requests"). */
export interface InputRequest extends Asking {
  readonly key: string;
}

/** Questions that one answer may ask at once: a client is to be asked, not flooded. */
export const MAX_QUESTIONS = 100;

/** What a modern server asks for instead of an answer. */
export interface InputRequired {
  /** How many there are; `requests` has no more than {@link MAX_QUESTIONS} of them. */
  readonly count: number;
  readonly requests: readonly InputRequest[];
  /** Opaque; JSON text. */
  readonly stateText: string | undefined;
}

/** Reads it; `undefined` when the message is a final answer. */
export function inputRequired(answer: Message): InputRequired | undefined {
  const result = objectAt(answer.value, 'result');
  if (result?.['resultType'] !== 'input_required') return undefined;
  const requests = asObject(result['inputRequests']) ?? {};
  const keys = Object.keys(requests);
  return {
    count: keys.length,
    requests: keys.slice(0, MAX_QUESTIONS).map((key) => ({
      key,
      method: String(objectAt(requests, key)?.['method']),
      paramsText: textAt(answer.text, ['result', 'inputRequests', key, 'params']),
    })),
    stateText: typeof result['requestState'] === 'string' ? textAt(answer.text, ['result', 'requestState']) : undefined,
  };
}

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
    const result = textAt(outcome.message.text, ['result']);
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
