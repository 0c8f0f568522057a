import { asObject, type JsonObject, type Message, readMessage } from '@shadowcat/wire';
import type { OperationChange } from './diff.js';
import { type Difference, differencesOf } from './differences.js';
import { jsonTree } from './json-tree.js';
import type { RecordedLane, Recording, Step } from './recording.js';
import { type NoticeFinding, noticeFindings } from './verify/notices.js';

/** Where the notifications and requests of two servers differ, ids, tokens and order aside. `except`: their own are left out. */
export function saidChanges(
  before: RecordedLane | undefined,
  after: RecordedLane | undefined,
  except: ReadonlySet<Recording>,
): readonly OperationChange[] {
  const [ours, theirs] = [saidIn(before, except), saidIn(after, except)];
  const steps = new Map<Message, Step>();
  const live = theirs.flatMap((step) => {
    const message = readMessage(step.text);
    if (message === undefined) return [];
    steps.set(message, step);
    return [{ message, during: undefined, late: false }];
  });
  const findings = noticeFindings<Difference>(ours, live, {
    level: 'json',
    differences: ({ text }, { text: other }) =>
      differencesOf({ text, node: jsonTree(text) }, { text: other, node: jsonTree(other) }),
    recordedText: ({ text }) => text,
    ignored: () => false,
  });
  const lane = before?.name ?? after?.name ?? '';
  return findings.map((finding) => changeOf(finding, { lane, steps }));
}

function changeOf(
  { step, live, differences }: NoticeFinding<Difference>,
  { lane, steps }: { readonly lane: string; readonly steps: ReadonlyMap<Message, Step> },
): OperationChange {
  return {
    kind: 'said',
    s: lane,
    method: step?.method ?? live?.message.method ?? '',
    target: undefined,
    before: step?.place.line,
    after: live === undefined ? undefined : steps.get(live.message)?.place.line,
    differences,
  };
}

function saidIn(lane: RecordedLane | undefined, except: ReadonlySet<Recording>): Step[] {
  const steps = (lane?.recordings ?? []).flatMap((recording) => {
    return except.has(recording) ? [] : recording.steps.map((step) => plain(step, recording.key));
  });
  return [...steps, ...(lane?.stream ?? []).map((step) => plain(step, undefined))].filter(
    ({ kind }) => kind !== 'response',
  );
}

/** A message without what is another one in each session; `of`: what its progress is of. With the client's answer, if it has one. */
function plain(step: Step, of: string | undefined): Step {
  const { _meta, progressToken, requestId, ...params } = asObject(step.value['params']) ?? {};
  const tagged = progressToken === undefined ? params : { ...params, progressToken: of ?? progressToken };
  const answer = step.answer && (JSON.parse(step.answer.text) as JsonObject);
  const outcome = answer && (answer['error'] === undefined ? { result: answer['result'] } : { error: answer['error'] });
  // An id, if it is a request: what has none is a notification.
  const id = step.kind === 'request' ? { id: 0 } : {};
  const text = JSON.stringify({ jsonrpc: '2.0', ...id, method: step.method, params: tagged, answer: outcome });
  return { ...step, text };
}
