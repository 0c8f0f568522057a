import { readMessage } from '@shadowcat/wire';
import { type AnswerRule, isFor, type Overlay } from './overlay.js';
import type { Place, Recording, Step } from './recording.js';
import { type RequestShape, shapeOf } from './request-key.js';

/** Results that say nothing: what a server answers that has done as it was told. */
const EMPTY = '{}';

/** What is answered to these where there is nothing to tell. Methods whose result nobody can guess are left out. */
const NOTHING_TO_TELL: ReadonlyMap<string, string> = new Map([
  ['logging/setLevel', EMPTY],
  ['resources/subscribe', EMPTY],
  ['resources/unsubscribe', EMPTY],
  ['tools/list', '{ tools: [] }'],
  ['prompts/list', '{ prompts: [] }'],
  ['resources/list', '{ resources: [] }'],
  ['resources/templates/list', '{ resourceTemplates: [] }'],
]);

/** The rule of an overlay, in YAML's flow style, that answers a request which is not on the tape; if one can be guessed. */
export function answerLine({ method, target }: Pick<RequestShape, 'method' | 'target'>): string | undefined {
  const result = NOTHING_TO_TELL.get(method);
  if (result === undefined) return undefined;
  const name = target === undefined ? '' : `, target: ${JSON.stringify(target)}`;
  return `answer: [{ method: ${JSON.stringify(method)}${name}, with: ${result} }]`;
}

/** What an overlay answers itself, in the form of recordings: faults, latency and replaced values are for them, too. */
export class GivenAnswers {
  readonly #rules: readonly { readonly rule: AnswerRule; readonly recording: Recording }[];

  constructor({ answer }: Pick<Overlay, 'answer'>) {
    this.#rules = answer.map((rule) => ({ rule, recording: recordingOf(rule) }));
  }

  /** For a request of which the tapes have nothing. */
  for(shape: RequestShape): Recording | undefined {
    return this.#rules.find(({ rule }) => isFor(rule, shape))?.recording;
  }
}

function recordingOf({ method, target, where, json }: AnswerRule): Recording {
  const message = messageOf(`{"jsonrpc":"2.0","id":0,"method":${JSON.stringify(method)}}`);
  const answer: Step = {
    ...messageOf(`{"jsonrpc":"2.0","id":0,"result":${json}}`),
    kind: 'response',
    method: undefined,
    idText: '0',
    place: placeOf(where),
    ...UNORDERED,
    gapMs: 0,
    answer: undefined,
  };
  return {
    method,
    target,
    key: shapeOf(method, message.text).key,
    retryKey: undefined,
    message,
    progressToken: undefined,
    modern: false,
    place: answer.place,
    order: UNORDERED.order,
    batch: undefined,
    steps: [answer],
    answer,
    status: 200,
    streamed: false,
    retryMs: undefined,
    raw: undefined,
    polled: false,
    previous: undefined,
    next: undefined,
    exit: { end: 'answered' },
  };
}

/** Nothing on a tape waits for it, and it waits for nothing. */
const UNORDERED = { order: -1, after: [], awaits: [] } as const;

function messageOf(text: string): Recording['message'] {
  const message = readMessage(text);
  if (message === undefined) throw new TypeError(`no message: ${text}`);
  return message;
}

/** `x.overlay.yaml:3:5`. */
function placeOf(where: string): Place {
  const [, file = where, line = '1'] = /^(.*):(\d+):\d+$/.exec(where) ?? [];
  return { file, line: Number(line) };
}
