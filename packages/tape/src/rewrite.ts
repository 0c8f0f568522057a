import { type Edit, META_SUBSCRIPTION, type Message, spanOf, spliceMessage } from '@shadowcat/wire';
import type { LiveRequest, LiveSession, Play } from './live-session.js';
import type { Recording, Step } from './recording.js';
import { replacedAt } from './replaced.js';

const TOKEN_PATH: readonly string[] = ['params', 'progressToken'];
const REQUEST_TOKEN_PATH: readonly string[] = ['params', '_meta', 'progressToken'];
const SUBSCRIPTION_PATHS: readonly (readonly string[])[] = [
  ['params', '_meta', META_SUBSCRIPTION],
  ['result', '_meta', META_SUBSCRIPTION],
];

export function liveRequest(message: Message): LiveRequest {
  const token = spanOf(message.text, REQUEST_TOKEN_PATH);
  return { idText: message.idText ?? 'null', progressToken: token && message.text.slice(token.start, token.end) };
}

/**
 * A recorded message of a request's, with the live ids in the place of the recorded ones, the overlay's values and those that
 * are bound, and every other byte as it was. `undefined`: progress that the live client did not ask for.
 */
export function rewritten(step: Step, play: Play): string | undefined {
  const { recording, live, session } = play;
  if (step.kind === 'response') return rewrittenAnswer(step, play);
  if (isProgressOf(step, recording)) {
    if (live.progressToken === undefined) return undefined;
    return spliceMessage(changed(step, play), [{ path: TOKEN_PATH, json: live.progressToken }]);
  }
  return spliceMessage(unownedText(step, session, changed(step, play)), subscriptionEdits(step.text, play));
}

/** The same for a response, which is never left out. */
export function rewrittenAnswer(step: Step, play: Play): string {
  const edits: Edit[] = step.idText === 'null' ? [] : [{ path: ['id'], json: play.live.idText }];
  return spliceMessage(changed(step, play), [...edits, ...subscriptionEdits(step.text, play)]);
}

/** What the overlay and the bindings make of a message. A text that takes another's place is bound to it from then on. */
function changed(step: Step, { replace, session }: Play): string {
  const { bindings } = session;
  for (const rule of replace) {
    replacedAt(step.text, rule, (recorded) => {
      if (recorded.startsWith('"') && rule.json.startsWith('"')) bindings.bind(spelled(recorded), spelled(rule.json));
    });
  }
  return replace.reduce((text, rule) => replacedAt(text, rule), bindings.live(step.text));
}

const spelled = (json: string): string => JSON.stringify(JSON.parse(json));

/** A recorded message that belongs to no request. A server request gets an id of the session's. */
export function unownedText(step: Step, session: LiveSession, text = session.bindings.live(step.text)): string {
  if (step.kind === 'request') return spliceMessage(text, [{ path: ['id'], json: session.ask(step) }]);
  if (step.method === 'notifications/cancelled') return withLiveRequestId(step, session);
  return text;
}

/** Whether this is progress of the request that the recording is of. */
export function isProgressOf(step: Step, recording: Recording): boolean {
  if (step.method !== 'notifications/progress' || recording.progressToken === undefined) return false;
  const token = spanOf(step.text, TOKEN_PATH);
  return token !== undefined && step.text.slice(token.start, token.end) === recording.progressToken;
}

/** The server takes a request of its own back: by the id that it was sent with. */
function withLiveRequestId(step: Step, session: LiveSession): string {
  const path = ['params', 'requestId'];
  const span = spanOf(step.text, path);
  const recorded = span && step.text.slice(span.start, span.end);
  for (const [idText, asked] of session.pending) {
    if (asked.idText === recorded) return spliceMessage(step.text, [{ path, json: idText }]);
  }
  return step.text;
}

/** `subscriptions/listen` (2026-07-28) tags what it sends with the id of its request, as it is or as a string. */
function subscriptionEdits(text: string, { recording, live }: Play): Edit[] {
  if (recording.method !== 'subscriptions/listen') return [];
  return SUBSCRIPTION_PATHS.flatMap((path) => {
    const span = spanOf(text, path);
    if (span === undefined) return [];
    const tag = text.slice(span.start, span.end);
    const asText = tag !== recording.message.idText && tag.startsWith('"') && !live.idText.startsWith('"');
    return [{ path, json: asText ? JSON.stringify(live.idText) : live.idText }];
  });
}
